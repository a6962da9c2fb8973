"""What a projection is: a table and pure folds from events to rows; the projector does all the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared_kernel.errors import TwinlogError
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Recorded

Row = Mapping[str, Any]
"""One row by column name; values are what psycopg adapts (jsonb columns take Python objects)."""

Key = tuple[Any, ...]
Fold = Callable[[Row | None, Recorded[Any]], Row | None]
"""The row as it was (None: there is none) and one event; answers the row as it is now (None: gone)."""


@dataclass(frozen=True, slots=True)
class Table:
    """A read-model table that exists in the `blue` and the `green` schema.

    `columns` maps column name to PostgreSQL type, in order, and includes the key columns. `personal` columns hold
    clear text about the person named by the `subject` column; erasure walks them.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    personal: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """Folds that keep one table. `version` rises when the folds change their meaning: then a rebuild is due.

    `key_of` names the row an event touches; events whose class is not in `folds` do not concern the projection.
    Folds are pure: everything they know is in the row and the event.
    """

    name: str
    version: int
    table: Table
    key_of: Callable[[Recorded[Any]], Key]
    folds: Mapping[type[Event], Fold]


class RowMissing(TwinlogError):
    """An event changes a row that no earlier event has made."""


def existing(row: Row | None) -> Row:
    """The row as it was, for folds that change one. Raises RowMissing, which parks the stream for an operator."""
    if row is None:
        raise RowMissing
    return row
