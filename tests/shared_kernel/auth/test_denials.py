"""Ended sessions are denied as long as a token of theirs could be out, and old knowledge lets nobody in."""

from uuid import UUID, uuid4

import pytest

from shared_kernel.auth.denials import KEPT, LIMIT, DenialList
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import ServiceUnavailable, Unauthenticated

ENDED = UUID(int=7)


class Clock:
    """One hand for both clocks, in seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def denials(clock: Clock) -> DenialList:
    known = DenialList(clock, clock)
    known.add("acme", ENDED, int(clock.now * 1_000_000))
    known.known_since(clock.now)
    return known


def caller(session: UUID, tenant: str = "acme") -> Principal:
    return Principal(uuid4(), tenant, session, ("member",), "aal1", 0)


def test_ended_session_is_refused_and_no_other(denials: DenialList) -> None:
    with pytest.raises(Unauthenticated) as refused:
        denials.refuse(caller(ENDED))
    assert refused.value.code() == "unauthenticated"
    denials.refuse(caller(uuid4()))
    denials.refuse(caller(ENDED, "globex"))


def test_who_knows_nothing_lets_nobody_in(clock: Clock) -> None:
    unknowing = DenialList(clock, clock)
    assert unknowing.trouble
    with pytest.raises(
        ServiceUnavailable, match=r"^Whether this session goes on is not known just now; try again in a "
    ):
        unknowing.refuse(caller(uuid4()))


@pytest.mark.parametrize(("later", "knows"), [(LIMIT, True), (LIMIT + 0.01, False)])
def test_old_knowledge_is_none(denials: DenialList, clock: Clock, later: float, *, knows: bool) -> None:
    clock.now += later
    assert (denials.trouble == "") is knows
    if knows:
        denials.refuse(caller(uuid4()))
    else:
        with pytest.raises(ServiceUnavailable):
            denials.refuse(caller(uuid4()))


@pytest.mark.parametrize(("later", "kept"), [(KEPT, 1), (KEPT + 1, 0)])
def test_session_is_forgotten_when_its_last_token_has_expired(
    denials: DenialList, clock: Clock, later: float, kept: int
) -> None:
    clock.now += later
    denials.known_since(clock.now)
    assert len(denials) == kept


@pytest.mark.parametrize(("by_steady_clock", "by_wall_clock"), [(0, 10), (10, 0)])
def test_session_is_kept_until_both_clocks_say_that_its_last_token_has_expired(
    by_steady_clock: float, by_wall_clock: float
) -> None:
    steady, wall = Clock(), Clock()
    known = DenialList(steady, wall)
    known.add("acme", ENDED, int(wall.now * 1_000_000))
    steady.now += KEPT + by_steady_clock
    wall.now += KEPT + by_wall_clock
    known.known_since(steady.now)
    assert len(known) == 1, "for one of them it expires at this moment"
    steady.now += 1
    wall.now += 1
    known.known_since(steady.now)
    assert len(known) == 0


def test_older_knowledge_does_not_make_newer_older(denials: DenialList, clock: Clock) -> None:
    denials.known_since(clock.now - 100)
    assert denials.age == 0


def test_session_is_not_forgotten_because_the_wall_clock_jumped() -> None:
    steady, wall = Clock(), Clock()
    known = DenialList(steady, wall)
    known.add("acme", ENDED, int(wall.now * 1_000_000))
    wall.now += 10 * KEPT
    known.known_since(steady.now)
    wall.now -= 10 * KEPT
    with pytest.raises(Unauthenticated):
        known.refuse(caller(ENDED))


@pytest.mark.parametrize(
    ("jumps", "back"), [((), False), ((3600.0,), False), ((-0.5,), False), ((-1.0,), False), ((3600.0, -3600.0), True)]
)
def test_wall_clock_that_is_set_back_is_noticed_once(jumps: tuple[float, ...], *, back: bool) -> None:
    steady, wall = Clock(), Clock()
    known = DenialList(steady, wall)
    assert not known.was_set_back()
    for seconds in jumps:
        noticed = known.was_set_back()
        assert not noticed
        wall.now += seconds
    assert known.was_set_back() is back
    assert not known.was_set_back()


def test_clock_that_is_set_back_while_time_goes_on_is_noticed() -> None:
    steady, wall = Clock(), Clock()
    known = DenialList(steady, wall)
    known.was_set_back()
    steady.now += 60
    wall.now += 60
    assert not known.was_set_back()
    steady.now += 60
    wall.now += 57
    assert known.was_set_back()
