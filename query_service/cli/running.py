"""What the commands share: the stores of the query side, options, tables, and the record of what was done."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table

from query_service.features import PROJECTIONS
from query_service.infrastructure.feed import FeedUnavailable
from query_service.infrastructure.projection import Projection
from query_service.projector import generations
from query_service.projector.bootstrap import GC_THRESHOLD, Equipment, equipped
from query_service.projector.engine import Engine
from query_service.projector.projector import decoder_of
from query_service.projector.rebuild import NothingToRebuild
from query_service.settings import load
from shared_kernel.process import EXIT_REFUSED
from shared_kernel.terminal import end
from shared_kernel.web.server import run as run_loop

T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
Name = Annotated[str | None, typer.Argument(help="A projection; see `twinlog projections status`.")]
OneName = Annotated[str, typer.Argument(help="A projection; see `twinlog projections status`.")]
All = Annotated[bool, typer.Option("--all", help="Every projection.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the record.")]


def run(use: Callable[[Equipment], Awaitable[T]]) -> T:
    """Run something with the stores of the query side; the service itself need not be running."""

    async def main() -> T:
        async with equipped(load()) as equipment:
            return await use(equipment)

    return run_loop(main(), GC_THRESHOLD)


def chosen(name: str | None, *, every: bool, as_json: bool) -> Sequence[Projection]:
    found = [projection for projection in PROJECTIONS if every or projection.name == name]
    if not found or every != (name is None):
        names = ", ".join(projection.name for projection in PROJECTIONS)
        end("wrong-use", f"Name one projection ({names}) or say --all.", EXIT_REFUSED, as_json=as_json)
    return found


def one(name: str, *, as_json: bool) -> Projection:
    """The projection of this name; without one, the command ends here."""
    return chosen(name, every=False, as_json=as_json)[0]


async def engine_of(equipment: Equipment) -> tuple[Engine, int]:
    """An engine for the installed log, and how many partitions that has. Raises NothingToRebuild."""
    async with equipment.tools.pool.connection() as connection:
        installed = await generations.installed(connection)
    if installed is None:
        raise NothingToRebuild
    decoder = decoder_of(equipment.tools, equipment.registry, equipment.keys)
    return Engine(equipment.tools.projections, decoder, installed[1]), installed[1]


async def record(equipment: Equipment, action: str, projection: str, **details: Any) -> bool:
    """Have the log keep that this was done at the command line; whether it could."""
    try:
        await equipment.tools.feed.record({"action": action, "projection": projection, "carried_out": True, **details})
    except FeedUnavailable:
        return False
    return True


def table_of(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    return table
