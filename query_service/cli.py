"""What operators type about read models: `twinlog projections ...`, `twinlog parked ...`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from query_service.features import PROJECTIONS
from query_service.infrastructure.projection import Projection
from query_service.projector import generations, parking
from query_service.projector.bootstrap import Equipment, equipped
from query_service.projector.diff import Difference, diff
from query_service.projector.engine import Engine
from query_service.projector.overview import Overview, overview
from query_service.projector.parking import ParkedStream
from query_service.projector.projector import decoder_of
from query_service.projector.rebuild import NothingToRebuild, Rebuilt, rebuild
from query_service.projector.switch import Switched, roll_back, switch
from query_service.settings import load
from shared_kernel.process import EXIT_REFUSED
from shared_kernel.terminal import EXIT_FOUND, end, say, sentences

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True)
projections = typer.Typer(no_args_is_help=True, help="Read models: how far they are, rebuilding, comparing, switching.")
parked = typer.Typer(no_args_is_help=True, help="Events that a read model could not handle.")
app.add_typer(projections, name="projections")
app.add_typer(parked, name="parked")

Json = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
Name = Annotated[str | None, typer.Argument(help="A projection; see `twinlog projections status`.")]
OneName = Annotated[str, typer.Argument(help="A projection; see `twinlog projections status`.")]
All = Annotated[bool, typer.Option("--all", help="Every projection.")]


@projections.command()
def status(*, as_json: Json = False) -> None:
    """Show which generation of each read model answers and how far it is behind the log.

    Example: twinlog projections status
    """
    with sentences(as_json=as_json):
        found = run(lambda equipment: overview(equipment.tools))
        say({"projections": [each.as_dict() for each in found]}, as_json=as_json)
        if not as_json:
            Console().print(_status_table(found))


@projections.command("rebuild")
def rebuild_command(name: Name = None, *, every: All = False, as_json: Json = False) -> None:
    """Build read models anew from the log, beside the live ones.

    Example: twinlog projections rebuild resources
    """
    with sentences(as_json=as_json):
        chosen = _chosen(name, every=every, as_json=as_json)
        started = time.monotonic()
        rebuilt = run(lambda equipment: _rebuild(equipment, chosen, quiet=as_json))
        seconds = round(time.monotonic() - started, 3)
        built = {unit.projection: unit.generation for unit in rebuilt.generations}
        sentence = f"{rebuilt.events} events replayed in {seconds:.1f} s into " + ", ".join(
            map(str, rebuilt.generations)
        )
        say({"events": rebuilt.events, "seconds": seconds, "generations": built}, as_json=as_json, sentence=sentence)


@projections.command("diff")
def diff_command(name: Name = None, *, every: All = False, as_json: Json = False) -> None:
    """Compare the two generations of read models row by row; exit code 1 if they differ.

    Example: twinlog projections diff --all
    """
    with sentences(as_json=as_json):
        chosen = _chosen(name, every=every, as_json=as_json)
        found = run(lambda equipment: _diff(equipment, chosen))
        same = all(difference.empty for difference in found.values())
        say({"projections": {each: found[each].as_dict() for each in found}}, as_json=as_json, ok=same)
        if not as_json:
            Console().print(_diff_table(found))
        if not same:
            raise typer.Exit(EXIT_FOUND)


@projections.command("switch")
def switch_command(name: OneName, *, as_json: Json = False) -> None:
    """Let the newly built generation answer questions.

    Example: twinlog projections switch resources
    """
    with sentences(as_json=as_json):
        _say_switched(run(lambda equipment: switch(equipment.tools.pool, name)), as_json=as_json)


@projections.command()
def rollback(name: OneName, *, as_json: Json = False) -> None:
    """Let the generation answer again that did before the last switch.

    Example: twinlog projections rollback resources
    """
    with sentences(as_json=as_json):
        _say_switched(run(lambda equipment: roll_back(equipment.tools.pool, name)), as_json=as_json)


@parked.command("list")
def list_parked(*, as_json: Json = False) -> None:
    """Show the streams that stand still for a read model, and why.

    Example: twinlog parked list
    """
    with sentences(as_json=as_json):
        found = run(_parked)
        say({"parked": [each.as_dict() for each in found]}, as_json=as_json)
        if not as_json:
            Console().print(_parked_table(found) if found else "Nothing is parked.")


def run(use: Callable[[Equipment], Awaitable[T]]) -> T:
    """Run something with the stores of the query side; the service itself need not be running."""

    async def main() -> T:
        async with equipped(load()) as equipment:
            return await use(equipment)

    return asyncio.run(main())


def _chosen(name: str | None, *, every: bool, as_json: bool) -> Sequence[Projection]:
    chosen = [projection for projection in PROJECTIONS if every or projection.name == name]
    if not chosen or every != (name is None):
        names = ", ".join(projection.name for projection in PROJECTIONS)
        end("wrong-use", f"Name one projection ({names}) or say --all.", EXIT_REFUSED, as_json=as_json)
    return chosen


async def _engine(equipment: Equipment) -> tuple[Engine, int]:
    """An engine for the installed log, and how many partitions that has. Raises NothingToRebuild."""
    async with equipment.tools.pool.connection() as connection:
        installed = await generations.installed(connection)
    if installed is None:
        raise NothingToRebuild
    decoder = decoder_of(equipment.tools, equipment.registry, equipment.keys)
    return Engine(equipment.tools.projections, decoder, installed[1]), installed[1]


async def _rebuild(equipment: Equipment, chosen: Sequence[Projection], *, quiet: bool) -> Rebuilt:
    engine, partitions = await _engine(equipment)
    head = (await equipment.tools.feed.facts()).head
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("replaying", total=head)
        passed: dict[int, int] = {}

        def progress(partition: int, position: int, _: int) -> None:
            passed[partition] = position
            bar.update(task, completed=sum(passed.values()) // partitions)

        return await rebuild(equipment.tools, engine, chosen, progress)


async def _diff(equipment: Equipment, chosen: Sequence[Projection]) -> dict[str, Difference]:
    engine, _ = await _engine(equipment)
    return {projection.name: await diff(equipment.tools, engine, projection) for projection in chosen}


async def _parked(equipment: Equipment) -> Sequence[ParkedStream]:
    async with equipment.tools.pool.connection() as connection:
        return await parking.streams(connection)


def _say_switched(switched: Switched, *, as_json: bool) -> None:
    facts = {"projection": switched.name, "active": switched.generation, "version": switched.version}
    sentence = f"{switched.name} is answered by {switched.generation} (version {switched.version})."
    say(facts, as_json=as_json, sentence=sentence)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table


def _status_table(found: Sequence[Overview]) -> Table:
    table = _table("Read models", "name", "live", "version", "horizon", "lag", "shadow", "its lag", "parked")
    for each in found:
        version = f"{each.version} (rebuild due)" if each.rebuild_due else str(each.version)
        cells = (each.horizon, each.lag, each.shadow, each.shadow_lag, each.parked)
        table.add_row(each.name, each.active, version, *("-" if cell is None else str(cell) for cell in cells))
    return table


def _diff_table(found: dict[str, Difference]) -> Table:
    table = _table("Rebuilt against live", "name", "rows", "missing", "unexpected", "different", "first")
    for name, each in found.items():
        first = "; ".join("/".join(key) for key in each.first[:3])
        table.add_row(name, *map(str, (each.rows, each.missing, each.unexpected, each.different)), first)
    return table


def _parked_table(found: Sequence[ParkedStream]) -> Table:
    table = _table("Parked streams", "projection", "tenant", "stream", "position", "topic", "events", "reason")
    for each in found:
        name = f"{each.projection}/{each.generation}"
        cells: tuple[Any, ...] = (name, each.tenant, each.stream, each.position, each.topic, each.events, each.reason)
        table.add_row(*map(str, cells))
    return table
