"""What clients know of their appends, held against what a reader saw: the judge of the race and of the crashes.

Every event carries a mark of eight bytes as its payload, so that it is known whatever positions say.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from itertools import pairwise

MOST_EVENTS = 16
"""Of one attempt: so many marks belong to it."""


class Fate(Enum):
    """ACKNOWLEDGED: it is there. ABSENT: it is not (refused, or another attempt under its key is there).
    UNKNOWN: whole or absent, nobody has been told which.
    """

    ACKNOWLEDGED = "acknowledged"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Attempt:
    """One sending of one append: `number` is its own among all, times are those of a clock that all writers share.

    `positions` are empty where the answer was lost and only the key told that it is there.
    """

    number: int
    count: int
    fate: Fate
    began: int = 0
    ended: int = 0
    positions: Sequence[int] = ()

    @property
    def marks(self) -> range:
        return range(self.number * MOST_EVENTS, self.number * MOST_EVENTS + self.count)


def payloads(number: int, count: int) -> list[bytes]:
    """What the events of an attempt carry."""
    return [mark.to_bytes(8, "big") for mark in Attempt(number, count, Fate.UNKNOWN).marks]


def mark_of(payload: bytes) -> int:
    return int.from_bytes(payload, "big")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often each promise was broken. Lost, repeated and out of order are events, torn are attempts."""

    acknowledged: int
    seen: int
    lost: int
    repeated: int
    torn: int
    out_of_order: int
    uncalled: int

    @property
    def broken(self) -> dict[str, int]:
        """The promises that do not hold."""
        kept = ("acknowledged", "seen")
        return {name: count for name, count in asdict(self).items() if count and name not in kept}


def examine(attempts: Sequence[Attempt], seen: Sequence[tuple[int, int]]) -> Verdict:
    """`seen` are pairs of position and mark in the order in which the reader met them."""
    marks = Counter(mark for _, mark in seen)
    called = {mark for attempt in attempts if attempt.fate is not Fate.ABSENT for mark in attempt.marks}
    expected = [attempt for attempt in attempts if attempt.fate is Fate.ACKNOWLEDGED]
    return Verdict(
        acknowledged=sum(attempt.count for attempt in expected),
        seen=len(seen),
        lost=sum(mark not in marks for attempt in expected for mark in attempt.marks),
        repeated=sum(count - 1 for count in marks.values()) + _repeated(position for position, _ in seen),
        torn=sum(_is_torn(attempt, marks) for attempt in attempts),
        out_of_order=_falling(seen) + _misplaced(expected, seen) + _overtaken(expected, seen),
        uncalled=sum(mark not in called for mark in marks),
    )


def _repeated(positions: Iterable[int]) -> int:
    return sum(count - 1 for count in Counter(positions).values())


def _is_torn(attempt: Attempt, marks: Mapping[int, int]) -> bool:
    return 0 < sum(mark in marks for mark in attempt.marks) < attempt.count


def _falling(seen: Sequence[tuple[int, int]]) -> int:
    """Events met after one with a higher position."""
    return sum(later < earlier for (earlier, _), (later, _) in pairwise(seen))


def _misplaced(expected: Sequence[Attempt], seen: Sequence[tuple[int, int]]) -> int:
    """Events that are not where their writer was told, or not in the order in which he sent them."""
    places = {mark: position for position, mark in seen}
    wrong = 0
    for attempt in expected:
        found = [places[mark] for mark in attempt.marks if mark in places]
        wrong += sum(later <= earlier for earlier, later in pairwise(found))
        if attempt.positions and len(found) == attempt.count:
            wrong += sum(told != place for told, place in zip(attempt.positions, found, strict=True))
    return wrong


def _overtaken(expected: Sequence[Attempt], seen: Sequence[tuple[int, int]]) -> int:
    """Attempts that were acknowledged before another was even begun, and stand after it."""
    owners = {attempt.number: attempt for attempt in expected}
    latest, overtaken, counted = 0, 0, set[int]()
    for _, mark in sorted(seen):
        attempt = owners.get(mark // MOST_EVENTS)
        if attempt is None or attempt.number in counted:
            continue
        counted.add(attempt.number)
        overtaken += attempt.ended < latest
        latest = max(latest, attempt.began)
    return overtaken
