"""The log from the command line: `twinlog events list | show | trace | tail | topics`, personal fields redacted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from command_service.cli.services import Json
from command_service.infrastructure import schema
from command_service.infrastructure.event_store.census import TopicReport, census
from command_service.infrastructure.event_store.connections import reading_pool
from command_service.infrastructure.event_store.inspection import Inspection, Wanted
from command_service.settings import load
from shared_kernel.clock import microseconds, rfc3339
from shared_kernel.errors import NotFound
from shared_kernel.events.envelope import Metadata, StoredRow
from shared_kernel.events.registry import registry
from shared_kernel.privacy.payload import PayloadCodec, UnreadablePayload
from shared_kernel.process import require_database
from shared_kernel.terminal import EXIT_FOUND, say, sentences

T = TypeVar("T")

PATIENCE = 5.0
TICK = 0.2
"""Seconds between two looks at the end of the log."""

events = typer.Typer(no_args_is_help=True, help="The log: what happened, in the order in which it was recorded.")

Tenant = Annotated[str | None, typer.Option("--tenant", help="Only of this tenant.")]
Stream = Annotated[str | None, typer.Option("--stream", help="Only of this stream.")]
Topic = Annotated[str | None, typer.Option("--topic", help="Only of this topic, as `events topics` shows them.")]
After = Annotated[int, typer.Option("--after", min=0, help="Only behind this position.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Time = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"])]


@events.command("list")
def list_events(
    *,
    tenant: Tenant = None,
    stream: Stream = None,
    topic: Topic = None,
    after: After = 0,
    since: Time = None,
    until: Time = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Show events by position, tenant, stream, topic or time of recording (`until` itself is not included).

    Example: twinlog events list --stream resources-0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55 --newest
    """

    async def look(log: Inspection) -> list[StoredRow]:
        low = max(after, await log.before_time(microseconds(since)) if since else 0)
        high = await log.before_time(microseconds(until)) if until else None
        wanted = Wanted(tenant, stream, topic, None, low, high)
        return await _some(log.matching(wanted, newest_first=newest), limit)

    with sentences(as_json=as_json):
        _show(_run(look), as_json=as_json)


@events.command("show")
def show_event(
    position: Annotated[int, typer.Argument(min=1, help="Where it stands in the log.")], *, as_json: Json = False
) -> None:
    """Show one event whole: its data without what is personal, its metadata, its leaf hash.

    Example: twinlog events show 4711
    """
    with sentences(as_json=as_json):
        found = _run(lambda log: _some(log.matching(Wanted(after=position - 1, upto=position)), 1))
        if not found:
            raise NotFound(f"The log has no event at position {position}.")
        say({"event": _whole(found[0])}, as_json=as_json)
        if not as_json:
            Console().print_json(data=_whole(found[0]))


@events.command("trace")
def trace(
    correlation_id: Annotated[str, typer.Argument(help="The X-Correlation-ID of a request, as its answer shows it.")],
    *,
    limit: Limit = 1_000,
    as_json: Json = False,
) -> None:
    """Show all that was recorded under one correlation id, in order; exit code 1 if there is nothing.

    Example: twinlog events trace 0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55
    """

    async def look(log: Inspection) -> list[StoredRow]:
        rows = log.matching(Wanted(correlation_id=correlation_id))
        return await _some((row async for row in rows if _fact(row, "correlation_id") == correlation_id), limit)

    with sentences(as_json=as_json):
        found = _run(look)
        if not found:
            raise NotFound(f"Nothing was recorded under the correlation id {correlation_id!r}.")
        _show(found, as_json=as_json)


@events.command("tail")
def tail(
    *,
    tenant: Tenant = None,
    stream: Stream = None,
    topic: Topic = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="Begin behind this position, not at the end.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="End after so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each event.")] = False,
) -> None:
    """Show events as they are recorded, until Ctrl-C.

    Example: twinlog events tail --tenant acme
    """

    async def follow(log: Inspection) -> None:
        left = limit
        position = (await log.head())[1] if after is None else after
        while True:
            head = (await log.head())[1]
            async for row in log.matching(Wanted(tenant, stream, topic, None, position, head)):
                typer.echo(orjson.dumps(_brief(row)).decode() if as_json else _line(row))
                left = None if left is None else left - 1
                if left == 0:
                    return
            position = max(position, head)
            await asyncio.sleep(TICK)

    with sentences(as_json=as_json):
        _run(follow)


@events.command("topics")
def topics(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Read every event, not only the first and last of each topic.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show every topic and version in the log and whether this release can read it; exit code 1 if it cannot.

    Example: twinlog events topics --all
    """
    with sentences(as_json=as_json):
        found = _run(lambda log: census(log, PayloadCodec(registry()), every=every))
        sound = all(report.decodes for report in found)
        say({"topics": [report.as_dict() for report in found]}, as_json=as_json, ok=sound)
        if not as_json:
            Console().print(_topic_table(found) if found else "The log is empty.")
        if not sound:
            raise typer.Exit(EXIT_FOUND)


def _run(use: Callable[[Inspection], Awaitable[T]]) -> T:
    async def inspect() -> T:
        async with _inspection() as log:
            return await use(log)

    return asyncio.run(inspect())


@asynccontextmanager
async def _inspection() -> AsyncIterator[Inspection]:
    """The log that the settings name, for reading only. Raises Unreachable and SchemaMismatch."""
    url = load().command_database_url
    await require_database(url, schema.check)
    async with reading_pool(url, 1, PATIENCE) as pool:
        yield Inspection(pool, "public")


async def _some(rows: AsyncIterator[StoredRow], limit: int | None) -> list[StoredRow]:
    found: list[StoredRow] = []
    async for row in rows:
        found.append(row)
        if len(found) == limit:
            break
    return found


def _show(rows: Iterable[StoredRow], *, as_json: bool) -> None:
    found = list(rows)
    say({"events": [_brief(row) for row in found]}, as_json=as_json)
    if not as_json:
        typer.echo("\n".join(map(_line, found)) if found else "There is nothing.")


def _line(row: StoredRow) -> str:
    """One line for a person."""
    return f"{row.position:>9}  {rfc3339(row.recorded_at)}  {row.tenant}  {row.stream} {row.version}  {row.topic}"


def _brief(row: StoredRow) -> dict[str, Any]:
    """The fields by the names that the query API gives them."""
    return {
        "position": row.position,
        "id": str(row.event_id),
        "tenant": row.tenant,
        "stream": row.stream,
        "version": row.version,
        "type": row.topic,
        "time": rfc3339(row.recorded_at),
        "actor": _fact(row, "actor"),
        "correlation_id": _fact(row, "correlation_id"),
        "data": _data(row),
    }


def _whole(row: StoredRow) -> dict[str, Any]:
    return _brief(row) | {
        "tenant_seq": row.tenant_seq,
        "causation_id": _fact(row, "causation_id"),
        "occurred_at": _fact(row, "occurred_at"),
        "slot": row.slot,
        "leaf_version": row.leaf_version,
        "leaf_hash": row.leaf_hash.hex(),
    }


def _fact(row: StoredRow, name: str) -> Any:
    """What the metadata says; None when it does not read, for this is where one looks when something is wrong."""
    try:
        return getattr(Metadata.decode(row.metadata), name)
    except ValueError:
        return None


def _data(row: StoredRow) -> Any:
    try:
        return PayloadCodec(registry()).redacted(row)
    except UnreadablePayload as fault:
        return {"unreadable": fault.detail, "bytes": len(row.payload)}


def _topic_table(found: Iterable[TopicReport]) -> Table:
    table = Table("topic", "events", "first", "last", "reads as", "read", "problem", box=None)
    for each in found:
        facts = (each.topic, each.count, each.first, each.last, each.reads_as or "-", each.checked, each.problem)
        table.add_row(*map(str, facts))
    return table
