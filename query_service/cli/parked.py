"""`twinlog parked ...`: what stands still and why, trying it again, doing without it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from query_service.cli.running import Json, OneName, Reason, engine_of, one, record, run, table_of
from query_service.projector import parked_retry, parked_view, parking
from query_service.projector.bootstrap import Equipment
from query_service.projector.parked_retry import NothingParked, Retried
from query_service.projector.parking import ParkedStream
from shared_kernel.terminal import EXIT_FOUND, say, sentences

parked = typer.Typer(no_args_is_help=True, help="Events that a read model could not handle.")

Tenant = Annotated[str, typer.Option("--tenant", help="Whose stream it is.")]
Stream = Annotated[str, typer.Argument(help="A parked stream; see `twinlog parked list`.")]
Streams = Annotated[str | None, typer.Argument(help="A parked stream; without one, all that are chosen.")]
Cause = Annotated[str | None, typer.Option("--cause", help="Only those with this fingerprint.")]
From = Annotated[int, typer.Option("--from", min=0, help="Only those parked at this position or later.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell how it would go, and change nothing.")]


@parked.command("list")
def list_parked(*, as_json: Json = False) -> None:
    """Show the streams that stand still for a read model, and why, by cause.

    Example: twinlog parked list
    """
    with sentences(as_json=as_json):
        found = run(_parked)
        facts = {"parked": [each.as_dict() for each in found], "causes": parked_view.causes(found)}
        say(facts, as_json=as_json)
        if not as_json:
            Console().print(_parked_table(found) if found else "Nothing is parked.")


@parked.command("show")
def show_parked(name: OneName, stream: Stream, *, tenant: Tenant = "default", as_json: Json = False) -> None:
    """Show the parked events of one stream, without what is personal in them.

    Example: twinlog parked show resources resources-0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55
    """
    with sentences(as_json=as_json):
        projection = one(name, as_json=as_json)
        found = run(lambda equipment: parked_view.events(equipment, projection.name, (tenant, stream)))
        if not found:
            raise NothingParked
        say({"events": found}, as_json=as_json)
        if not as_json:
            Console().print_json(data=found)


@parked.command("retry")
def retry_parked(
    name: OneName,
    stream: Streams = None,
    *,
    tenant: Tenant = "default",
    cause: Cause = None,
    since: From = 0,
    dry_run: DryRun = False,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Try parked events again, in order, with the code of this release; exit code 1 if some stay parked.

    Example: twinlog parked retry resources --from 4711 --dry-run
    """
    with sentences(as_json=as_json):
        one(name, as_json=as_json)
        wanted = _Wanted(name, None if stream is None else (tenant, stream), cause, since)
        outcomes = run(lambda equipment: _retry(equipment, wanted, reason, dry_run=dry_run))
        still = sum(each["parked"] for each in outcomes)
        verb = "would be" if dry_run else "are"
        sentence = f"{sum(each['handled'] for each in outcomes)} events {verb} handled, {still} {verb} parked still."
        say({"streams": outcomes, "dry_run": dry_run}, as_json=as_json, sentence=sentence, ok=not still)
        if still:
            raise typer.Exit(EXIT_FOUND)


@parked.command("skip")
def skip_parked(
    name: OneName,
    stream: Stream,
    position: Annotated[int, typer.Argument(min=1, help="Where the first parked event of the stream is.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why the read model is to do without it.")],
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Let a read model do without one event, for ever; what waits behind it goes on.

    Example: twinlog parked skip resources resources-0192f3a1 4711 --reason "written by a faulty import"
    """
    with sentences(as_json=as_json):
        one(name, as_json=as_json)
        outcomes, recorded = run(lambda equipment: _skip(equipment, name, (tenant, stream), position, reason))
        still = sum(each.parked for each in outcomes)
        sentence = f"{name} does without position {position}; {still} events of the stream are parked still."
        facts = {"skipped": position, "outcomes": [each.as_dict() for each in outcomes], "recorded": recorded}
        say(facts, as_json=as_json, sentence=sentence)


class _Wanted:
    """Which parked streams are meant."""

    def __init__(self, name: str, stream: tuple[str, str] | None, cause: str | None, since: int) -> None:
        self.name, self._stream, self._cause, self._since = name, stream, cause, since

    def has(self, each: ParkedStream) -> bool:
        return (
            each.projection == self.name
            and self._stream in {None, (each.tenant, each.stream)}
            and self._cause in {None, each.fingerprint}
            and each.position >= self._since
        )


async def _parked(equipment: Equipment) -> Sequence[ParkedStream]:
    async with equipment.tools.pool.connection() as connection:
        return await parking.streams(connection)


async def _retry(equipment: Equipment, wanted: _Wanted, reason: str, *, dry_run: bool) -> Sequence[Mapping[str, Any]]:
    found = sorted({(each.tenant, each.stream) for each in await _parked(equipment) if wanted.has(each)})
    if not found:
        raise NothingParked
    engine, _ = await engine_of(equipment)
    outcomes: list[Mapping[str, Any]] = []
    for tenant, stream in found:
        came = await parked_retry.retry(equipment.tools.pool, engine, wanted.name, (tenant, stream), dry_run=dry_run)
        recorded = dry_run or await record(
            equipment, "retry", wanted.name, of_tenant=tenant, stream=stream, reason=reason
        )
        outcomes += [{"tenant": tenant, "stream": stream, "recorded": recorded, **each.as_dict()} for each in came]
    return outcomes


async def _skip(
    equipment: Equipment, name: str, stream: tuple[str, str], position: int, reason: str
) -> tuple[Sequence[Retried], bool]:
    engine, _ = await engine_of(equipment)
    outcomes = await parked_retry.skip(
        equipment.tools.pool, engine, name, stream, position, reason=reason, actor="system:cli"
    )
    details = {"of_tenant": stream[0], "stream": stream[1], "position": position, "reason": reason}
    return outcomes, await record(equipment, "skip", name, **details)


def _parked_table(found: Sequence[ParkedStream]) -> Table:
    table = table_of("Parked streams", "projection", "tenant", "stream", "position", "topic", "events", "reason")
    for each in found:
        name = f"{each.projection}/{each.generation}"
        cells: tuple[Any, ...] = (name, each.tenant, each.stream, each.position, each.topic, each.events, each.reason)
        table.add_row(*map(str, cells))
    return table
