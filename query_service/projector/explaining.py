"""What a wrong sum tells: which runs of consecutive events were left out, or handled twice.

A sum is one number, so it names one run of any length, or two short ones; more of them it only shows to be there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from shared_kernel.events.completeness import MODULUS

Terms = Sequence[tuple[int, int]]
"""(position, share in the sum) of events in order."""

MISSING, TWICE = "missing", "twice"
BUDGET = 200_000
"""Short runs that are tried in pairs; the more events there are, the shorter those are."""

LONGEST = 16


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive events of a partition to which the same has happened."""

    kind: str
    positions: Sequence[int]

    @property
    def detail(self) -> str:
        done = "not handled" if self.kind == MISSING else "handled twice"
        if len(self.positions) == 1:
            return f"the event at position {self.positions[0]} of the log was {done}."
        first, last = self.positions[0], self.positions[-1]
        return f"{len(self.positions)} events from position {first} to {last} of the log were {done}."


def explained(terms: Terms, lacking: int) -> Sequence[Run]:
    """The runs that make a sum lack so much (modulo 2^256), in order; nothing when they cannot be told."""
    for kind, wanted in ((MISSING, lacking), (TWICE, -lacking)):
        if positions := run_with_sum(terms, wanted % MODULUS):
            return [Run(kind, positions)]
    return sorted(_pair(terms, lacking), key=lambda run: run.positions[0])


def run_with_sum(terms: Terms, wanted: int) -> Sequence[int]:
    """The positions of consecutive events that add up to this; nothing when no such run exists."""
    prefixes = [0, *(total % MODULUS for total in accumulate(share for _, share in terms))]
    starts = {prefix: index for index, prefix in reversed(list(enumerate(prefixes)))}
    for end, prefix in enumerate(prefixes):
        start = starts.get((prefix - wanted) % MODULUS)
        if start is not None and start < end:
            return [position for position, _ in terms[start:end]]
    return ()


def _pair(terms: Terms, lacking: int) -> Sequence[Run]:
    """Two runs of which one or both are missing or doubled."""
    runs = dict(_short_runs(terms))
    for total, place in runs.items():
        for kinds, wanted in (
            ((MISSING, MISSING), lacking - total),
            ((MISSING, TWICE), total - lacking),
            ((TWICE, TWICE), -lacking - total),
        ):
            other = _apart(runs, place, wanted % MODULUS)
            if other is not None:
                return [_run(terms, *each) for each in zip(kinds, (place, other), strict=True)]
    return ()


def _short_runs(terms: Terms) -> Iterator[tuple[int, tuple[int, int]]]:
    """The sum and the place (from, up to) of every run that is short enough."""
    longest = max(1, min(LONGEST, BUDGET // max(1, len(terms))))
    for start in range(len(terms)):
        total = 0
        for end in range(start, min(start + longest, len(terms))):
            total += terms[end][1]
            yield total % MODULUS, (start, end + 1)


def _apart(runs: Mapping[int, tuple[int, int]], place: tuple[int, int], wanted: int) -> tuple[int, int] | None:
    other = runs.get(wanted)
    return other if other and (other[1] <= place[0] or place[1] <= other[0]) else None


def _run(terms: Terms, kind: str, place: tuple[int, int]) -> Run:
    return Run(kind, [position for position, _ in terms[slice(*place)]])
