"""One projection's pass over a batch, in memory: rows as they were, events, rows as they are now.

An event that cannot be handled parks its stream, for this projection only: it and every later event of the stream
are set aside in order, all other streams flow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query_service.infrastructure.projection import Fold, Key, Projection, Row
from query_service.projector.decoding import Arrival
from query_service.projector.patience import TooSlow, Watch, watched
from query_service.projector.trouble import Trouble
from shared_kernel.events.envelope import StoredRow

Stream = tuple[str, str]
"""(tenant, stream)"""


class WrongColumns(Exception):
    """A fold answered a row that does not have exactly the columns of its table."""


@dataclass(slots=True)
class Step:
    """An event that concerns the projection: the row it touches and the fold that handles it, or what is wrong.

    Not frozen: it would take three times as long to make one.
    """

    arrival: Arrival
    key: Key = ()
    fold: Fold | None = None
    trouble: Trouble | None = None

    @property
    def stream(self) -> Stream:
        return self.arrival.row.tenant, self.arrival.row.stream


@dataclass(frozen=True, slots=True)
class Parked:
    """An event set aside."""

    partition: int
    row: StoredRow
    trouble: Trouble


def steps_of(projection: Projection, arrivals: Sequence[Arrival]) -> Sequence[Step]:
    """The steps of one projection in order; events that do not concern it are left out.

    An event of unknown topic may concern anybody, so it concerns everybody.
    """
    folds = projection.folds
    with watched() as watch:
        return [
            _step(projection, arrival, watch)
            for arrival in arrivals
            if arrival.contract in folds or (arrival.contract is None and arrival.trouble)
        ]


def _step(projection: Projection, arrival: Arrival, watch: Watch) -> Step:
    if arrival.trouble or arrival.recorded is None:
        return Step(arrival, trouble=arrival.trouble)
    try:
        watch.busy = arrival
        key = projection.key_of(arrival.recorded)
        hash(key)
        watch.busy = None
    except Exception as error:  # noqa: BLE001 - a projection's own code; whatever it raises parks the stream
        return Step(arrival, trouble=Trouble.of(error))
    return Step(arrival, key, projection.folds[type(arrival.recorded.event)])


class Pass:
    """Folds steps one by one; `rows` is the state so far, `parked` what was set aside."""

    def __init__(self, projection: Projection) -> None:
        self._columns = projection.table.columns.keys()
        self._blocked: set[Stream] = set()
        self._changed: set[Key] = set()
        self._skip: frozenset[int] = frozenset()
        self.rows: dict[Key, Row | None] = {}
        self.parked: list[Parked] = []

    def begin(self, rows: Mapping[Key, Row], blocked: Iterable[Stream], skip: Iterable[int] = ()) -> None:
        """Start from these rows; streams in `blocked` are parked already, events at positions in `skip` left out."""
        self.rows = dict(rows)
        self._blocked = set(blocked)
        self._skip = frozenset(skip)

    def run(self, steps: Sequence[Step]) -> None:
        """Handle events in order, or set them aside."""
        with watched() as watch:
            for step in steps:
                watch.busy = step
                self._advance(step)
            watch.busy = None

    def _advance(self, step: Step) -> None:
        if self._skip and step.arrival.row.position in self._skip:
            return
        if self._blocked and step.stream in self._blocked:
            self._set_aside(step, Trouble.behind())
        elif step.fold is None:
            self.park(step, step.trouble or Trouble.behind())
        else:
            self._fold(step, step.fold)

    def take_changes(self) -> Mapping[Key, Row | None]:
        """The rows that have changed since the last call."""
        changes = {key: self.rows[key] for key in self._changed}
        self._changed.clear()
        return changes

    def park(self, step: Step, trouble: Trouble) -> None:
        """Set the event aside and everything that follows it in its stream."""
        self._blocked.add(step.stream)
        self._set_aside(step, trouble)

    def undo(self, step: Step, trouble: Trouble) -> None:
        """The event was folded but cannot be stored: forget its row, which is read again when needed, and park it."""
        self.rows.pop(step.key, None)
        self._changed.discard(step.key)
        self.park(step, trouble)

    def _fold(self, step: Step, fold: Fold) -> None:
        key = step.key
        before = self.rows.get(key)
        try:
            after = self._twice(fold, before, step.arrival.recorded)
        except Exception as error:  # noqa: BLE001 - a projection's own code; whatever it raises parks the stream
            self.park(step, Trouble.of(error))
            return
        if after != before:
            self.rows[key] = after
            self._changed.add(key)

    def _set_aside(self, step: Step, trouble: Trouble) -> None:
        self.parked.append(Parked(step.arrival.partition, step.arrival.row, trouble))

    def _twice(self, fold: Fold, before: Row | None, recorded: Any) -> Row | None:
        """Pure code may still fail for a passing reason, such as memory; the second failure counts."""
        try:
            return self._checked(fold(before, recorded))
        except TooSlow:
            raise
        except Exception:  # noqa: BLE001 - see above
            return self._checked(fold(before, recorded))

    def _checked(self, row: Row | None) -> Row | None:
        if row is not None and row.keys() != self._columns:
            raise WrongColumns
        return row
