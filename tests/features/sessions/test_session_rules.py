"""The rules of a sign-in session, told as given / when / then."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from command_service.features.sessions.commands import (
    ElevateSession,
    EndSession,
    Origin,
    RefreshSession,
    StartSession,
)
from command_service.features.sessions.domain.refusals import SessionOver
from command_service.features.sessions.domain.session import (
    GRACE,
    IDLE,
    LIFETIME,
    REUSED,
    elevate_session,
    end_session,
    evolve,
    leave_session,
    refresh_session,
    start_session,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.sessions import SessionElevated, SessionEnded, SessionRefreshed, SessionStarted
from tests.support.given import NOON, given

SESSION = UUID("0192f000-0000-7000-8000-000000000001")
USER = UUID("0192f000-0000-7000-8000-000000000002")
FIRST, SECOND, THIRD = "first", "second", "third"


def started() -> SessionStarted:
    return SessionStarted(
        session_id=SESSION,
        user_id=USER,
        methods=("pwd",),
        started_at=NOON,
        expires_at=NOON + LIFETIME,
        slot=3,
        refresh_hash=FIRST,
    )


def refreshed(to: str, at: datetime = NOON) -> SessionRefreshed:
    return SessionRefreshed(session_id=SESSION, user_id=USER, refresh_hash=to, refreshed_at=at)


def ended(reason: str, at: datetime = NOON) -> SessionEnded:
    return SessionEnded(session_id=SESSION, user_id=USER, reason=reason, ended_at=at)


def test_session_ends_twelve_hours_after_sign_in() -> None:
    command = StartSession(SESSION, USER, ("pwd",), 3, FIRST, Origin("Firefox on Linux", "203.0.113.0/24"))
    noted = started().model_copy(update={"device": "Firefox on Linux", "network": "203.0.113.0/24"})
    given().at(NOON).when(start_session, command).then(noted)


def test_session_of_an_earlier_release_is_twelve_hours_old_at_its_end_and_has_no_refresh_token() -> None:
    old = SessionStarted(session_id=SESSION, user_id=USER, methods=("pwd",), expires_at=NOON + LIFETIME)
    state = given(old).by(evolve).state
    assert (state.started_at, state.used_at, state.current, state.slot) == (NOON, NOON, None, None)
    given(old).by(evolve).when(refresh_session, RefreshSession("", SECOND)).then_refused(SessionOver)


def test_refresh_token_is_exchanged_for_its_successor() -> None:
    given(started()).by(evolve).when(refresh_session, RefreshSession(FIRST, SECOND)).then(refreshed(SECOND))


def test_direct_predecessor_brings_the_same_successor_for_ten_seconds() -> None:
    history = given(started(), refreshed(SECOND)).by(evolve)
    history.at(NOON + GRACE).when(refresh_session, RefreshSession(FIRST, SECOND)).then_nothing()
    late = NOON + GRACE + timedelta(microseconds=1)
    history.at(late).when(refresh_session, RefreshSession(FIRST, SECOND)).then(ended(REUSED, late))


@pytest.mark.asvs("V10.4.5")
def test_token_before_the_direct_predecessor_ends_the_session_at_once() -> None:
    history = given(started(), refreshed(SECOND), refreshed(THIRD)).by(evolve)
    history.when(refresh_session, RefreshSession(FIRST, SECOND)).then(ended(REUSED))
    history.when(refresh_session, RefreshSession(SECOND, THIRD)).then_nothing()


def test_predecessor_with_another_successor_is_no_repetition() -> None:
    history = given(started(), refreshed(SECOND)).by(evolve)
    history.when(refresh_session, RefreshSession(FIRST, "made elsewhere")).then(ended(REUSED))


def test_token_that_never_was_ends_nothing() -> None:
    """Otherwise whoever has seen the id of a session could end it."""
    given(started()).by(evolve).when(refresh_session, RefreshSession("invented", "x")).then_refused(SessionOver)


@pytest.mark.asvs("V7.3.1")
@pytest.mark.parametrize(
    ("later", "goes_on"),
    [
        (IDLE - timedelta(seconds=1), True),
        (IDLE, False),
        (LIFETIME, False),
    ],
)
def test_session_without_a_new_token_ends_after_half_an_hour(later: timedelta, *, goes_on: bool) -> None:
    asked = given(started()).by(evolve).at(NOON + later).when(refresh_session, RefreshSession(FIRST, SECOND))
    if goes_on:
        asked.then(refreshed(SECOND, NOON + later))
    else:
        asked.then_refused(SessionOver)


@pytest.mark.asvs("V7.3.2", "V10.4.8")
def test_no_refresh_takes_a_session_beyond_its_twelve_hours() -> None:
    last = NOON + LIFETIME - timedelta(seconds=1)
    history = given(started(), refreshed(SECOND, last)).by(evolve)
    history.at(last).when(refresh_session, RefreshSession(SECOND, THIRD)).then(refreshed(THIRD, last))
    over = last + timedelta(seconds=1)
    history.at(over).when(refresh_session, RefreshSession(SECOND, THIRD)).then_refused(SessionOver)


def test_ended_session_neither_refreshes_nor_rises() -> None:
    history = given(started(), ended("signed-out")).by(evolve)
    history.when(refresh_session, RefreshSession(FIRST, SECOND)).then_refused(SessionOver)
    history.when(elevate_session, ElevateSession(("otp",))).then_refused(SessionOver)


def test_session_that_never_began_neither_refreshes_nor_rises_nor_ends() -> None:
    given().when(refresh_session, RefreshSession(FIRST, SECOND)).then_refused(SessionOver)
    given().when(elevate_session, ElevateSession(("otp",))).then_refused(SessionOver)
    given().when(end_session, EndSession("signed-out")).then_nothing()


def test_elevation_counts_as_use() -> None:
    later = NOON + timedelta(minutes=20)
    risen = SessionElevated(session_id=SESSION, user_id=USER, methods=("otp",), elevated_at=later)
    given(started()).by(evolve).at(later).when(elevate_session, ElevateSession(("otp",))).then(risen)
    state = given(started(), risen).by(evolve).state
    assert (state.elevated_at, state.used_at) == (later, later)


def test_session_ends_once() -> None:
    given(started()).by(evolve).when(end_session, EndSession("signed-out")).then(ended("signed-out"))
    given(started(), ended("limit")).by(evolve).when(end_session, EndSession("signed-out")).then_nothing()


def test_ending_all_others_leaves_the_session_that_asks_alone() -> None:
    given(started()).by(evolve).when(leave_session, EndSession("signed-out")).then_nothing()


@pytest.mark.parametrize(
    ("later", "over"), [(timedelta(0), None), (IDLE, "idle"), (LIFETIME, "expired"), (2 * LIFETIME, "expired")]
)
def test_session_knows_why_it_is_over(later: timedelta, over: str | None) -> None:
    state = given(started()).by(evolve).state
    assert state.over(NOON + later) == over
    assert given(started(), ended("limit")).by(evolve).state.over(NOON + later) == "ended"


def test_hashes_of_tokens_are_not_in_the_texts_of_sessions() -> None:
    state = given(started(), refreshed(SECOND)).by(evolve).state
    assert FIRST not in repr(state)
    assert SECOND not in repr(state) + repr(RefreshSession(FIRST, SECOND))


def test_impossible_histories_are_refused() -> None:
    stranger = UserRegistered(user_id=USER, email="a@example.com", name="A", password_hash="x")
    for history in ((ended("x"),), (started(), started()), (started(), stranger)):
        with pytest.raises(ImpossibleHistory):
            _ = given(*history).by(evolve).state
