"""The one path of a command: idempotency, load, object-level authorisation, decide, encode, append, answer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from command_service.infrastructure.aggregate import Aggregate, Claims, Events, Loaded, Presence, S, Work
from command_service.infrastructure.answer import Answer, Outcome, answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Appended,
    ArchivedStreamRefusesAppends,
    ClaimMissing,
    ClaimTaken,
    EventStore,
    KeyAlreadyUsed,
    NewEvent,
)
from command_service.infrastructure.idempotency import Idempotency
from command_service.infrastructure.loading import Loading
from command_service.infrastructure.receipts import Receipts
from shared_kernel.auth.policy import ObjectAttributes, PolicyEngine
from shared_kernel.clock import Clock, microseconds, rfc3339
from shared_kernel.errors import Forbidden, NotFound, StaleVersion, VersionConflict
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Metadata
from shared_kernel.ids import Ids
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from shared_kernel.web import context

ATTEMPTS = 4
"""How often a command without If-Match is decided when others keep changing the same object."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """What was decided about a stream as it was found; not yet in the log."""

    work: Work[S]
    call: Call
    found: Loaded[S]
    events: Events
    now: datetime

    @property
    def outcome(self) -> Outcome:
        version = self.found.version + len(self.events)
        return Outcome(self.work.id, self.work.stream, version, bool(self.events), self.work.location)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The people whom the events are about, each once."""
        return tuple(dict.fromkeys(event.subject for event in self.events if event.subject))

    def metadata(self) -> bytes:
        request = context.current()
        return Metadata(
            actor=self.call.actor,
            correlation_id=request.correlation_id,
            trace_id=request.trace_id,
            occurred_at=rfc3339(microseconds(self.now)),
        ).encode()


@dataclass(frozen=True, slots=True)
class Execution:
    """Carries out every command of every feature."""

    store: EventStore
    loading: Loading
    vault: KeyVault
    codec: PayloadCodec
    policies: PolicyEngine
    idempotency: Idempotency
    receipts: Receipts
    clock: Clock
    ids: Ids

    async def run(self, work: Work[S], call: Call) -> Answer:
        """Raises what the domain refuses, and NotFound, Forbidden, StaleVersion, VersionConflict or what the
        idempotency key or the store say.
        """
        # A creation depends on nothing that is stored, so its append may be the first to ask for the key.
        async with self.idempotency.once(call, ask=work.presence is not Presence.NEW) as kept:
            return await (self._until_settled(work, call) if kept is None else self._repeated(kept, call))

    async def run_prepared(self, prepare: Callable[[], Awaitable[Work[S]]], call: Call) -> Answer:
        """The same for work that is costly to prepare: a request repeated under its key is answered without it."""
        async with self.idempotency.once(call, ask=True) as kept:
            return await (self._until_settled(await prepare(), call) if kept is None else self._repeated(kept, call))

    async def answered_before(self, call: Call) -> Answer | None:
        """What a request under this key was answered, without carrying anything out.

        Raises IdempotencyInFlight, IdempotencyKeyReused and ReplayUnavailable.
        """
        async with self.idempotency.once(call, ask=True) as kept:
            return None if kept is None else await self._repeated(kept, call)

    async def load(self, aggregate: Aggregate[S], tenant: str, stream: str) -> Loaded[S]:
        """The stream's state; personal fields of erased people read `[erased]`."""
        return await self.loading.load(aggregate, tenant, stream)

    async def _until_settled(self, work: Work[S], call: Call) -> Answer:
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(work, call)
            except AppendConflict:
                if call.if_match.present:
                    raise StaleVersion from None
            except KeyAlreadyUsed as used:
                return await self._repeated(await self.idempotency.recall(used.record, call), call)
        raise VersionConflict

    async def _attempt(self, work: Work[S], call: Call) -> Answer:
        found = await self._find(work, call)
        call.if_match.require(found.version)
        now = self.clock.now()
        decision = Decision(work, call, found, work.decide(found.state, now), now)
        position = await self._settle(decision)
        token = await self.receipts.token(position, call.tenant, work.stream)
        return answer(decision.outcome, position, token, events=decision.events)

    async def _find(self, work: Work[S], call: Call) -> Loaded[S]:
        if work.presence is Presence.NEW:
            return Loaded(None)
        found = await self.load(work.aggregate, call.tenant, work.stream)
        if found.state is None and work.presence is Presence.THERE:
            raise NotFound
        self._authorise(work, call, found.state)
        if found.archived:
            raise ArchivedStreamRefusesAppends
        return found

    def _authorise(self, work: Work[S], call: Call, state: S | None) -> None:
        if work.permission is None:
            return
        if call.principal is None:
            raise Forbidden
        obj = ObjectAttributes(work.permission.kind, call.tenant)
        if state is not None and work.aggregate.attributes is not None:
            obj = work.aggregate.attributes(state, call.tenant)
        self.policies.require(call.principal, work.permission, obj)

    async def _settle(self, decision: Decision[S]) -> int:
        """Append and answer the position; a no-op that leaves no trace needs no append."""
        work, call, found = decision.work, decision.call, decision.found
        if not decision.events and not work.claims and call.idempotency_key is None:
            return found.position
        append = Append(
            tenant=call.tenant,
            stream=work.stream,
            expected_version=found.version,
            events=await self._encoded(decision),  # first, for it makes the key of a new person
            claims=tuple(work.claims),
            idempotency=await self.idempotency.record(call, decision.outcome, secret=work.secret),
            subjects=decision.subjects,
        )
        return (await self._append(append, work.claims)).position

    async def _append(self, append: Append, claims: Claims) -> Appended:
        try:
            return await self.store.append(append)
        except (ClaimTaken, ClaimMissing) as failed:
            raise claims.get(failed.claim, failed) from None

    async def _encoded(self, decision: Decision[S]) -> tuple[NewEvent, ...]:
        tenant, stream, metadata = decision.call.tenant, decision.work.stream, decision.metadata()
        new = []
        for version, event in enumerate(decision.events, decision.found.version + 1):
            payload = await self._payload(event, tenant, stream, version)
            new.append(NewEvent(self.ids.new(), event.TOPIC, payload, metadata))
        return tuple(new)

    async def _payload(self, event: Event, tenant: str, stream: str, version: int) -> bytes:
        personal = event.subject if event.personal_fields() else None
        key = None if personal is None else await self.vault.make_key(tenant, personal)
        return self.codec.encode(event, tenant=tenant, stream=stream, version=version, key=key)

    async def _repeated(self, outcome: Outcome, call: Call) -> Answer:
        """The answer of an earlier time. Its position is read from the log, which had none yet when it was kept."""
        before = outcome.version - 1
        rows = await self.store.read_stream(call.tenant, outcome.stream, before, limit=1) if outcome.version else ()
        position = rows[0].position if rows else 0
        token = await self.receipts.token(position, call.tenant, outcome.stream)
        return answer(outcome, position, token, replayed=True)
