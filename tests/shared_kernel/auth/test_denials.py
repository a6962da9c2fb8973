"""Ended sessions and outdated roles are denied as long as a token could be out, and old knowledge lets nobody in."""

from uuid import UUID, uuid4

import pytest

from shared_kernel.auth.denials import KEPT, LIMIT, DenialList
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import ServiceUnavailable, Unauthenticated

ENDED = UUID(int=7)
ADA = UUID(int=8)


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


def holder(version: int, user: UUID = ADA, tenant: str = "acme") -> Principal:
    """Somebody whose token says roles of this version."""
    return Principal(user, tenant, uuid4(), ("member", "admin"), "aal1", 0, version)


@pytest.mark.parametrize("told", [(3,), (3, 2), (2, 3), (3, 3)])
def test_token_with_roles_of_before_a_withdrawal_is_refused_in_whatever_order_it_is_told(
    denials: DenialList, clock: Clock, told: tuple[int, ...]
) -> None:
    for version in told:
        denials.add_withdrawal("acme", ADA, version, int(clock.now * 1_000_000))
    for version in (0, 1, 2):
        with pytest.raises(Unauthenticated) as refused:
            denials.refuse(holder(version))
        assert refused.value.code() == "unauthenticated"
    for other in (holder(3), holder(4), holder(0, uuid4()), holder(0, tenant="globex")):
        denials.refuse(other)


def test_news_is_told_by_the_stream_that_it_is_of(denials: DenialList, clock: Clock) -> None:
    now, session = int(clock.now * 1_000_000), uuid4()
    for topic, stream in (
        ("access.RoleGranted.v1", f"roles-{ADA}"),
        ("access.TenantCreated.v1", "tenants-acme"),
        ("sessions.SessionEnded.v1", f"sessions-{session}"),
    ):
        denials.hear(topic, "acme", stream, 2, now)
    denials.refuse(holder(0))
    with pytest.raises(Unauthenticated):
        denials.refuse(caller(session))
    denials.hear("access.RoleWithdrawn.v1", "acme", f"roles-{ADA}", 2, now)
    with pytest.raises(Unauthenticated):
        denials.refuse(holder(1))
    denials.refuse(holder(2))


@pytest.mark.parametrize(("later", "kept"), [(KEPT, 1), (KEPT + 1, 0)])
def test_withdrawal_is_forgotten_when_the_last_token_from_before_has_expired(
    clock: Clock, later: float, kept: int
) -> None:
    known = DenialList(clock, clock)
    known.add_withdrawal("acme", ADA, 2, int(clock.now * 1_000_000))
    clock.now += later
    known.known_since(clock.now)
    assert len(known) == kept


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
