"""How far projections are follows from checkpoints and mark alone."""

from hypothesis import given
from hypothesis import strategies as st

from query_service.infrastructure.progress import Live, Progress
from shared_kernel.errors import LogEpochChanged
from shared_kernel.messaging.consistency import ConsistencyToken
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.partition import partition_of, slot_of

PARTITIONS = 4
STREAMS = tuple(f"things-{number}" for number in range(12))
TENANT = "acme"


def partition(stream: str) -> int:
    return partition_of(slot_of(TENANT, stream), PARTITIONS)


logs = st.lists(st.sampled_from(STREAMS), max_size=40)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], Mark, dict[int, int]]:
    """A log, a mark that may be out of date, and what the projector has handled, perhaps beyond the mark."""
    streams = draw(logs)
    head = draw(st.integers(0, len(streams)))
    ends = [[p for p, stream in enumerate(streams, 1) if partition(stream) == n] for n in range(PARTITIONS)]
    last = tuple(max((p for p in positions if p <= head), default=0) for positions in ends)
    done = {n: draw(st.sampled_from([0, *positions])) for n, positions in enumerate(ends)}
    return streams, Mark(1, head, last, 0), done


@given(histories())
def test_everything_up_to_the_horizon_has_been_handled(history: tuple[list[str], Mark, dict[int, int]]) -> None:
    streams, mark, done = history
    progress = Progress(mark, {"things": Live("things", positions=done)}, 1)
    horizon = progress.horizon("things")
    for position, stream in enumerate(streams, 1):
        handled = position <= done[partition(stream)]
        assert handled or position > horizon


@given(histories())
def test_what_the_token_of_a_row_promises_has_been_handled(history: tuple[list[str], Mark, dict[int, int]]) -> None:
    streams, mark, done = history
    progress = Progress(mark, {"things": Live("things", positions=done)}, 1)
    for position, stream in enumerate(streams, 1):
        covered = progress.covers(ConsistencyToken(1, position, TENANT, stream), ("things",), whole=False)
        assert covered == (position <= done[partition(stream)])


def test_complete_projections_reach_the_head_of_the_log() -> None:
    mark = Mark(1, 9, (0, 9, 4, 0), 0)
    progress = Progress(mark, {"things": Live("things", positions={0: 0, 1: 9, 2: 4, 3: 0})}, 1)
    assert (progress.horizon("things"), progress.lag("things")) == (9, 0)


def test_the_slowest_of_the_projections_that_are_read_decides() -> None:
    mark = Mark(1, 9, (9,), 0)
    live = {"fast": Live("fast", positions={0: 9}), "slow": Live("slow", positions={0: 3})}
    progress = Progress(mark, live, 1)
    assert progress.horizon("fast") == 9
    assert progress.horizon("fast", "slow") == 3
    assert progress.lag("fast", "slow") == 6


def test_without_any_mark_nothing_is_known() -> None:
    progress = Progress(None, {"things": Live("things", positions={0: 9})}, 1)
    assert (progress.horizon("things"), progress.lag("things")) == (0, None)
    assert not progress.covers(ConsistencyToken(1, 1, TENANT, "things-1"), ("things",), whole=False)


def test_a_projection_that_has_not_begun_is_at_zero_in_its_first_generation() -> None:
    progress = Progress(Mark(1, 2, (2,), 0))
    assert (progress.horizon("things"), progress.generation("things")) == (0, "blue")


def test_a_token_of_an_earlier_epoch_is_refused_and_one_of_a_later_epoch_waits() -> None:
    progress = Progress(Mark(2, 5, (5,), 0), {"things": Live("things", positions={0: 5})}, 2)
    refused = False
    try:
        progress.covers(ConsistencyToken(1, 1, TENANT, "things-1"), ("things",), whole=True)
    except LogEpochChanged:
        refused = True
    assert refused
    assert not progress.covers(ConsistencyToken(3, 1, TENANT, "things-1"), ("things",), whole=True)
