"""The rules of a sign-in session: how long it lasts, how its refresh token turns, and what ends it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from command_service.features.sessions.commands import ElevateSession, EndSession, RefreshSession, StartSession
from command_service.features.sessions.domain.refusals import SessionOver
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import SessionElevated, SessionEnded, SessionRefreshed, SessionStarted

LIFETIME = timedelta(hours=12)
"""How long a session lasts at most, whatever its user does."""
IDLE = timedelta(minutes=30)
"""How long it lasts without a new token."""
GRACE = timedelta(seconds=10)
"""How long the direct predecessor of a refresh token still brings the same successor: an answer may have been lost."""
PLACES = 5
"""How many sessions of one user go on at a time; the next one ends the oldest."""

REUSED = "refresh-token-reused"
IDLED = "idle"
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its events have made it; `current` and `former` are hashes of refresh tokens."""

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
    started_at: datetime
    expires_at: datetime
    used_at: datetime
    slot: int | None = None
    current: str | None = field(default=None, repr=False)
    previous: str | None = field(default=None, repr=False)
    former: frozenset[str] = field(default=frozenset(), repr=False)
    rotated_at: datetime | None = None
    elevated_at: datetime | None = None
    ended: bool = False

    def over(self, now: datetime) -> str | None:
        """Why no token is issued for this session any more; None while it goes on."""
        if self.ended:
            return "ended"
        if now >= self.expires_at:
            return EXPIRED
        return IDLED if now - self.used_at >= IDLE else None


def start_session(nothing: None, command: StartSession, now: datetime) -> tuple[Event, ...]:
    return (
        SessionStarted(
            session_id=command.session_id,
            user_id=command.user_id,
            methods=command.methods,
            started_at=now,
            expires_at=now + LIFETIME,
            slot=command.slot,
            refresh_hash=command.refresh_hash or None,
            device=command.origin.device,
            network=command.origin.network,
        ),
    )


def refresh_session(session: Session | None, command: RefreshSession, now: datetime) -> tuple[Event, ...]:
    """Nothing happens for the direct predecessor within its grace; any older token ends the session."""
    session = _going_on(session, now)
    if command.presented == session.current:
        return (
            SessionRefreshed(
                session_id=session.session_id,
                user_id=session.user_id,
                refresh_hash=command.successor,
                refreshed_at=now,
            ),
        )
    if _repeats_the_last_exchange(session, command, now):
        return ()
    if command.presented in session.former:
        return _end(session, REUSED, now)
    raise SessionOver


def elevate_session(session: Session | None, command: ElevateSession, now: datetime) -> tuple[Event, ...]:
    session = _going_on(session, now)
    return (
        SessionElevated(
            session_id=session.session_id,
            user_id=session.user_id,
            methods=command.methods,
            elevated_at=now,
        ),
    )


def end_session(session: Session | None, command: EndSession, now: datetime) -> tuple[Event, ...]:
    return () if session is None or session.ended else _end(session, command.reason, now)


def leave_session(session: Session | None, command: EndSession, now: datetime) -> tuple[Event, ...]:
    """What it comes to when somebody ends all sessions but their own, and there is no other."""
    return ()


def evolve(session: Session | None, event: Event) -> Session:
    """The session after one more event of its stream."""
    if session is None and isinstance(event, SessionStarted):
        return _started(event)
    if session is None:
        raise ImpossibleHistory
    match event:
        case SessionRefreshed():
            return _refreshed(session, event)
        case SessionElevated():
            return replace(session, elevated_at=event.elevated_at, used_at=event.elevated_at)
        case SessionEnded():
            return replace(session, ended=True)
    raise ImpossibleHistory


def _started(event: SessionStarted) -> Session:
    started_at = event.started_at or event.expires_at - LIFETIME
    return Session(
        session_id=event.session_id,
        user_id=event.user_id,
        methods=event.methods,
        started_at=started_at,
        expires_at=event.expires_at,
        used_at=started_at,
        slot=event.slot,
        current=event.refresh_hash,
    )


def _refreshed(session: Session, event: SessionRefreshed) -> Session:
    return replace(
        session,
        current=event.refresh_hash,
        previous=session.current,
        former=session.former | {session.current or ""},
        rotated_at=event.refreshed_at,
        used_at=event.refreshed_at,
    )


def _repeats_the_last_exchange(session: Session, command: RefreshSession, now: datetime) -> bool:
    exchanged = (command.presented, command.successor) == (session.previous, session.current)
    return exchanged and session.rotated_at is not None and now - session.rotated_at <= GRACE


def _going_on(session: Session | None, now: datetime) -> Session:
    if session is None or session.over(now) is not None:
        raise SessionOver
    return session


def _end(session: Session, reason: str, now: datetime) -> tuple[Event, ...]:
    return (SessionEnded(session_id=session.session_id, user_id=session.user_id, reason=reason, ended_at=now),)
