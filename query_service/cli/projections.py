"""`twinlog projections ...`: how far the read models are, rebuilding, comparing, switching."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from query_service.cli.running import (
    All,
    Json,
    Name,
    OneName,
    Reason,
    chosen,
    engine_of,
    one,
    record,
    run,
)
from query_service.cli.tables import diff_table, rebuilds_table, status_table
from query_service.infrastructure.projection import Projection
from query_service.projector import rebuilding
from query_service.projector.auditing import Finding
from query_service.projector.bootstrap import Equipment
from query_service.projector.diff import Difference, diff
from query_service.projector.overview import overview
from query_service.projector.projector import decoder_of
from query_service.projector.rebuild import Rebuilt, rebuild
from query_service.projector.shift import Tools
from query_service.projector.switch import Switched, roll_back, switch
from query_service.projector.verification import verify_all
from shared_kernel.terminal import EXIT_FOUND, say, sentences

projections = typer.Typer(no_args_is_help=True, help="Read models: how far they are, rebuilding, comparing, switching.")

UNDER_WAY = {"running", "paused", "built"}
UNRECORDED = " The log does not know of it: the command service does not answer."


@projections.command()
def status(*, as_json: Json = False) -> None:
    """Show which generation of each read model answers, how far it is behind the log, and how rebuilds go.

    Example: twinlog projections status
    """
    with sentences(as_json=as_json):
        found = run(lambda equipment: overview(equipment.tools))
        say({"projections": [each.as_dict() for each in found]}, as_json=as_json)
        if not as_json:
            Console().print(status_table(found))
            if under_way := [each.rebuild for each in found if each.rebuild and each.rebuild.state in UNDER_WAY]:
                Console().print(rebuilds_table(under_way))


@projections.command("rebuild")
def rebuild_command(
    name: Name = None,
    *,
    every: All = False,
    background: Annotated[bool, typer.Option("--background", help="Leave it to the projector.")] = False,
    at_once: Annotated[bool, typer.Option("--at-once", help="Switch as soon as it is level.")] = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Build read models anew from the log, beside the live ones.

    Example: twinlog projections rebuild resources
    """
    with sentences(as_json=as_json):
        found = chosen(name, every=every, as_json=as_json)
        if background:
            run(lambda equipment: _ask_for_rebuild(equipment, found, reason, at_once=at_once))
            names = [projection.name for projection in found]
            sentence = "The projector builds it anew; `twinlog projections status` tells how far it is."
            say({"asked": names}, as_json=as_json, sentence=sentence)
            return
        started = time.monotonic()
        rebuilt, recorded = run(
            lambda equipment: _rebuild_here(equipment, found, reason, quiet=as_json, at_once=at_once)
        )
        _say_rebuilt(rebuilt, round(time.monotonic() - started, 3), recorded=recorded, as_json=as_json)


@projections.command("pause")
def pause_command(name: OneName, *, reason: Reason = "", as_json: Json = False) -> None:
    """Let a rebuild that the projector works on rest.

    Example: twinlog projections pause resources
    """
    _steer(name, "pause", lambda tools, projection: rebuilding.pause(tools, projection.name), reason, as_json=as_json)


@projections.command("resume")
def resume_command(name: OneName, *, reason: Reason = "", as_json: Json = False) -> None:
    """Let a rebuild that rests go on.

    Example: twinlog projections resume resources
    """
    _steer(name, "resume", lambda tools, projection: rebuilding.resume(tools, projection.name), reason, as_json=as_json)


@projections.command("cancel")
def cancel_command(name: OneName, *, reason: Reason = "", as_json: Json = False) -> None:
    """Forget a rebuild that the projector works on; the live rows are not touched.

    Example: twinlog projections cancel resources
    """
    _steer(name, "cancel", rebuilding.cancel, reason, as_json=as_json)


@projections.command("diff")
def diff_command(name: Name = None, *, every: All = False, as_json: Json = False) -> None:
    """Compare the two generations of read models row by row; exit code 1 if they differ.

    Example: twinlog projections diff --all
    """
    with sentences(as_json=as_json):
        wanted = chosen(name, every=every, as_json=as_json)
        found = run(lambda equipment: _diff(equipment, wanted))
        same = all(difference.empty for difference in found.values())
        say({"projections": {each: found[each].as_dict() for each in found}}, as_json=as_json, ok=same)
        if not as_json:
            Console().print(diff_table(found))
        if not same:
            raise typer.Exit(EXIT_FOUND)


@projections.command("verify")
def verify_command(name: Name = None, *, every: All = False, as_json: Json = False) -> None:
    """Hold read models against the log: what was handled, the audit copy, and every row; exit code 1 if they differ.

    Example: twinlog projections verify --all
    """
    with sentences(as_json=as_json):
        wanted = chosen(name, every=every, as_json=as_json)
        found = run(lambda equipment: _verify(equipment, wanted))
        sentence = "\n".join(finding.sentence() for finding in found) or "Everything is as the log says."
        facts = {"findings": [finding.as_dict() for finding in found]}
        say(facts, as_json=as_json, sentence=sentence, ok=not found)
        if found:
            raise typer.Exit(EXIT_FOUND)


@projections.command("switch")
def switch_command(name: OneName, *, reason: Reason = "", as_json: Json = False) -> None:
    """Let the newly built generation answer questions.

    Example: twinlog projections switch resources
    """
    with sentences(as_json=as_json):
        switched, recorded = run(lambda equipment: _switch(equipment, name, reason))
        _say_switched(switched, recorded=recorded, as_json=as_json)


@projections.command()
def rollback(name: OneName, *, reason: Reason = "", as_json: Json = False) -> None:
    """Let the generation answer again that did before the last switch.

    Example: twinlog projections rollback resources
    """
    with sentences(as_json=as_json):
        switched, recorded = run(lambda equipment: _roll_back(equipment, name, reason))
        _say_switched(switched, recorded=recorded, as_json=as_json)


def _steer(
    name: str,
    action: str,
    act: Callable[[Tools, Projection], Awaitable[None]],
    reason: str,
    *,
    as_json: bool,
) -> None:
    async def both(equipment: Equipment) -> bool:
        await act(equipment.tools, projection)
        return await record(equipment, action, name, reason=reason)

    with sentences(as_json=as_json):
        projection = one(name, as_json=as_json)
        recorded = run(both)
        sentence = f"{name}: {action} is done." + ("" if recorded else UNRECORDED)
        say({"projection": name, "action": action, "recorded": recorded}, as_json=as_json, sentence=sentence)


async def _ask_for_rebuild(equipment: Equipment, found: Sequence[Projection], reason: str, *, at_once: bool) -> None:
    for projection in found:
        order = {"action": "rebuild", "projection": projection.name, "at_once": at_once, "reason": reason}
        await equipment.tools.feed.record(order)


async def _rebuild_here(
    equipment: Equipment, found: Sequence[Projection], reason: str, *, quiet: bool, at_once: bool
) -> tuple[Rebuilt, bool]:
    rebuilt = await _rebuild(equipment, found, quiet=quiet)
    if at_once:
        for projection in found:
            await switch(equipment.tools.pool, projection.name)
    done = [await record(equipment, "rebuild", projection.name, at_once=at_once, reason=reason) for projection in found]
    return rebuilt, all(done)


async def _switch(equipment: Equipment, name: str, reason: str) -> tuple[Switched, bool]:
    switched = await switch(equipment.tools.pool, name)
    await rebuilding.switched(equipment.tools, name)
    return switched, await record(equipment, "switch", name, reason=reason)


async def _roll_back(equipment: Equipment, name: str, reason: str) -> tuple[Switched, bool]:
    switched = await roll_back(equipment.tools.pool, name)
    return switched, await record(equipment, "rollback", name, reason=reason)


class Rate(ProgressColumn):
    """How many events of the log are passed in a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} per second", style="progress.data.speed")


async def _rebuild(equipment: Equipment, found: Sequence[Projection], *, quiet: bool) -> Rebuilt:
    engine, partitions = await engine_of(equipment)
    head = (await equipment.tools.feed.facts()).head
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("replaying", total=head)
        passed: dict[int, int] = {}

        def progress(partition: int, position: int, _: int) -> None:
            passed[partition] = position
            bar.update(task, completed=sum(passed.values()) // partitions)

        return await rebuild(equipment.tools, engine, found, progress)


async def _verify(equipment: Equipment, wanted: Sequence[Projection]) -> Sequence[Finding]:
    await engine_of(equipment)  # refuses when the projector has never begun
    decoder = decoder_of(equipment.tools, equipment.registry, equipment.keys)
    return await verify_all(equipment.tools, decoder, wanted)


async def _diff(equipment: Equipment, found: Sequence[Projection]) -> dict[str, Difference]:
    engine, _ = await engine_of(equipment)
    return {projection.name: await diff(equipment.tools, engine, projection) for projection in found}


def _say_rebuilt(rebuilt: Rebuilt, seconds: float, *, recorded: bool, as_json: bool) -> None:
    rate = round(rebuilt.events / seconds) if seconds else rebuilt.events
    facts = {
        "events": rebuilt.events,
        "seconds": seconds,
        "per_second": rate,
        "generations": {unit.projection: unit.generation for unit in rebuilt.generations},
        "recorded": recorded,
    }
    into = ", ".join(map(str, rebuilt.generations))
    sentence = f"{rebuilt.events} events replayed in {seconds:.1f} s ({rate:,} per second) into {into}"
    say(facts, as_json=as_json, sentence=sentence)


def _say_switched(switched: Switched, *, recorded: bool, as_json: bool) -> None:
    facts = {
        "projection": switched.name,
        "active": switched.generation,
        "version": switched.version,
        "recorded": recorded,
    }
    sentence = f"{switched.name} is answered by {switched.generation} (version {switched.version})." + (
        "" if recorded else UNRECORDED
    )
    say(facts, as_json=as_json, sentence=sentence)
