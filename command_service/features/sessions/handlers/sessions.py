"""Sessions begin in one of a user's few places, and end: one, all others, or all of them."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from command_service.features.sessions.commands import EndSession, StartSession
from command_service.features.sessions.domain.session import (
    PLACES,
    Session,
    end_session,
    evolve,
    leave_session,
    start_session,
)
from command_service.features.sessions.handlers.ports import DenialNews
from command_service.features.sessions.permissions import END
from command_service.infrastructure.aggregate import Aggregate, Claims, SnapshotPolicy, Work
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.claims import SKEW
from shared_kernel.auth.elevation import StepUp, require_elevation
from shared_kernel.auth.policy import ObjectAttributes
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound, TwinlogError, VersionConflict
from shared_kernel.events.sessions import SessionEnded

ATTEMPTS = 16
"""How often a place is looked for while others sign in as the same user."""


def attributes_of(session: Session, tenant: str) -> ObjectAttributes:
    """What a policy may know of a session."""
    return ObjectAttributes(END.kind, tenant, session.user_id)


SESSIONS = Aggregate(
    "sessions",
    evolve,
    attributes_of,
    snapshots=SnapshotPolicy(Session, shape=1),
    closed=lambda session: session.ended,
)


class PlaceTaken(TwinlogError):
    """Another sign-in of the same user was faster."""


class SessionHandlers:
    """Carries out what can be asked of sessions."""

    def __init__(self, execution: Execution, news: DenialNews) -> None:
        self._execution = execution
        self._news = news

    async def start(self, command: StartSession, tenant: str) -> StartSession:
        """Begin the session in a free place, or in that of the user's oldest session, which ends."""
        call = Call.of_user(tenant, command.user_id)
        for _ in range(ATTEMPTS):
            slot = await self._free_place(tenant, command.user_id, command.session_id.int)
            placed = replace(command, slot=slot)
            claims: Claims = {_place(ClaimAction.TAKE, command.user_id, slot): PlaceTaken()}
            try:
                await self._execution.run(
                    SESSIONS.creation(command.session_id, start_session, placed, claims=claims), call
                )
            except PlaceTaken:
                continue
            return placed
        raise VersionConflict

    async def end(self, session_id: UUID, principal: Principal, call: Call) -> Answer:
        """Raises NotFound, Forbidden for somebody else's session, or StepUpRequired for another than the one that asks.

        Signing out asks for no proof; whoever found an unlocked session must not throw its user out elsewhere.
        """
        if session_id != principal.session_id:
            require_elevation(principal, StepUp.RECENT, self._execution.clock.now())
        session = await self.session(call.tenant, session_id)
        if session is None:
            raise NotFound
        reason = "signed-out" if session.user_id == principal.user_id else "ended-by-administrator"
        command = EndSession(reason)
        work = SESSIONS.change(session_id, end_session, command, END)
        return await self._carry_out(replace(work, claims=_release(session)), call)

    async def end_others(self, principal: Principal, call: Call) -> Answer:
        """End all sessions of the caller but the one that asks; the answer is about the last of them.

        Raises Forbidden where the caller may not end their own.
        """
        own = ObjectAttributes(END.kind, principal.tenant, principal.user_id)
        self._execution.policies.require(principal, END, own)
        ended = await self.end_sessions_of(
            principal.tenant, principal.user_id, "signed-out", call=call, spare=principal.session_id
        )
        return ended[-1] if ended else await self._nothing_to_end(principal, call)

    async def end_sessions_of(
        self, tenant: str, user_id: UUID, reason: str, *, call: Call | None = None, spare: UUID | None = None
    ) -> list[Answer]:
        """End every session of a user, but `spare` one; for whatever takes a user's trust away."""
        call = replace(call or Call.of_user(tenant, user_id), idempotency_key=None)
        living = await self._living(tenant, user_id)
        ending = [session for session in living.values() if session.session_id != spare and not session.ended]
        answers = [await self._execution.run(_ending(session, reason), call) for session in ending]
        if answers:
            await self.announce_end()
        return sorted(answers, key=lambda answer: int(answer.body["position"]))

    async def end_by_token(self, session: Session, tenant: str, reason: str) -> None:
        """End a session on the word of whoever holds one of its tokens."""
        await self._carry_out(_ending(session, reason), Call.of_user(tenant, session.user_id))

    async def announce_end(self) -> None:
        """Let every process know that a session has just ended."""
        await self._news.announce()

    async def session(self, tenant: str, session_id: UUID) -> Session | None:
        """The session of this id in this tenant, whether it goes on or has ended."""
        return (await self._execution.load(SESSIONS, tenant, SESSIONS.stream(session_id))).state

    async def _carry_out(self, work: Work[Session], call: Call) -> Answer:
        answer = await self._execution.run(work, call)
        if any(isinstance(event, SessionEnded) for event in answer.events):
            await self.announce_end()
        return answer

    async def _nothing_to_end(self, principal: Principal, call: Call) -> Answer:
        """A command that finds nothing to do still answers as any other, about the session that asks."""
        work = SESSIONS.record(principal.session_id, leave_session, EndSession(""))
        return await self._execution.run(work, replace(call, idempotency_key=None))

    async def _free_place(self, tenant: str, user_id: UUID, seed: int) -> int:
        """Different sign-ins look at different places first, so that they seldom meet."""
        living = await self._living(tenant, user_id)
        free = [slot for slot in range(PLACES) if slot not in living]
        if free:
            return free[seed % len(free)]
        now = self._execution.clock.now()
        slot, oldest = min(living.items(), key=lambda held: _order(held[1], now))
        await self._carry_out(_ending(oldest, oldest.over(now) or "limit"), Call.of_user(tenant, user_id))
        return slot

    async def _living(self, tenant: str, user_id: UUID) -> dict[int, Session]:
        """Who holds the user's places."""
        store = self._execution.store
        keys = [_place(ClaimAction.TAKE, user_id, slot) for slot in range(PLACES)]
        holders = await asyncio.gather(*(store.claim_holder(tenant, key.kind, key.key) for key in keys))
        streams = {slot: holder for slot, holder in enumerate(holders) if holder is not None}
        loaded = await asyncio.gather(*(self._execution.load(SESSIONS, tenant, each) for each in streams.values()))
        found = zip(streams, loaded, strict=True)
        return {slot: one.state for slot, one in found if one.state is not None}


def _order(session: Session, now: datetime) -> tuple[bool, datetime, str]:
    """Those that are over anyway go first, and those of a clock that was wrong; then the oldest."""
    begun = session.started_at <= now + timedelta(seconds=SKEW)
    return begun and session.over(now) is None, session.started_at, str(session.session_id)


def _place(action: ClaimAction, user_id: UUID, slot: int) -> Claim:
    return Claim(action, "session-place", f"{user_id}/{slot}")


def _release(session: Session) -> Claims:
    """Gives the place up; a session that has lost it takes nothing from its new holder."""
    if session.slot is None:
        return {}
    return {_place(ClaimAction.RELEASE, session.user_id, session.slot): VersionConflict()}


def _ending(session: Session, reason: str) -> Work[Session]:
    return SESSIONS.record(session.session_id, end_session, EndSession(reason), claims=_release(session))
