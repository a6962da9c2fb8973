"""Idempotency keys: a request repeated under its key is carried out once and answered as before.

The store keeps HMACs of key and request (a plain hash of a registration's body would let its reader try passwords)
and the outcome encrypted under the acting person's key, so that erasing the person takes it along.
"""

import hmac
from dataclasses import dataclass
from uuid import UUID

from command_service.infrastructure.answer import Outcome
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import EventStore, IdempotencyRecord
from shared_kernel.auth.secrets import Mac, derive
from shared_kernel.errors import IdempotencyInFlight, IdempotencyKeyReused, ReplayUnavailable, SubjectErased
from shared_kernel.privacy.cipher import Unreadable, bind, open_bytes, seal_bytes
from shared_kernel.privacy.vault import KeyVault

_SUBJECT_BYTES = 16

Slot = tuple[str, str, bytes]
"""(tenant, scope, HMAC of the key)"""

Given = tuple[str, str, str]
"""(tenant, scope, the key as the caller gave it)"""


class Idempotency:
    """The keys of all callers; knows the requests in flight in this process, the store those that were accepted.

    A request that another process is working on meets its first twin when it appends: the store takes only one.
    """

    def __init__(self, store: EventStore, vault: KeyVault, secret: bytes) -> None:
        self._store = store
        self._vault = vault
        self._key = Mac(derive(secret, "idempotency"))
        self._fingerprint_key = Mac(derive(secret, "idempotency-fingerprint"))
        self._in_flight: dict[Given, Slot] = {}

    def once(self, call: Call, *, ask: bool) -> "Once":
        """Carry out a call under its key: the outcome kept from an earlier time, or None when this is the first.

        Without `ask` it is always None, and the store will say when it is asked to append. Entering raises
        IdempotencyInFlight, IdempotencyKeyReused and ReplayUnavailable.
        """
        return Once(self, call, ask)

    async def begin(self, call: Call, given: Given, *, ask: bool) -> Outcome | None:
        """What `once` does first; `end` must follow, unless this raises."""
        if given in self._in_flight:
            raise IdempotencyInFlight
        slot = self._in_flight[given] = self._slot(given)
        try:
            record = await self._store.find_idempotent(*slot) if ask else None
            return None if record is None else await self.recall(record, call)
        except BaseException:
            self.end(given)
            raise

    def end(self, given: Given) -> None:
        """The call is over."""
        del self._in_flight[given]

    async def record(self, call: Call, outcome: Outcome, *, secret: bool) -> IdempotencyRecord | None:
        """What to append beside the events; None for a call without a key. The acting user must have a subject key."""
        if call.idempotency_key is None:
            return None
        given = (call.tenant, call.scope, call.idempotency_key)
        _, scope, key = self._in_flight.get(given) or self._slot(given)
        answer = b"" if secret else await self._seal(call, key, outcome)
        return IdempotencyRecord(scope, key, self._fingerprint(call), outcome.status, answer)

    async def recall(self, record: IdempotencyRecord, call: Call) -> Outcome:
        """The kept outcome. Raises IdempotencyKeyReused for another request, ReplayUnavailable when it is gone."""
        if not hmac.compare_digest(record.fingerprint, self._fingerprint(call)):
            raise IdempotencyKeyReused
        subject, sealed = record.answer[:_SUBJECT_BYTES], record.answer[_SUBJECT_BYTES:]
        if not sealed:
            raise ReplayUnavailable
        owner = await self._vault.key_of(call.tenant, str(UUID(bytes=subject)))
        if owner is None:
            raise ReplayUnavailable
        try:
            return Outcome.decode(open_bytes(owner, sealed, _aad(call.tenant, record.actor, record.key)))
        except Unreadable:
            raise ReplayUnavailable from None

    async def _seal(self, call: Call, key: bytes, outcome: Outcome) -> bytes:
        """The id of the acting user in clear, then the outcome under that user's key."""
        owner = await self._vault.key_of(call.tenant, call.actor)
        if owner is None:
            raise SubjectErased
        sealed = seal_bytes(owner, outcome.encode(), _aad(call.tenant, call.scope, key))
        return UUID(call.actor).bytes + sealed

    def _slot(self, given: Given) -> Slot:
        tenant, scope, key = given
        return tenant, scope, self._key.of(key.encode())

    def _fingerprint(self, call: Call) -> bytes:
        parts = b"".join(len(part).to_bytes(8, "big") + part for part in call.request)
        return self._fingerprint_key.of(parts)


@dataclass(slots=True)
class Once:
    """What `Idempotency.once` answers; a class, for a generator would cost every command more than the look-up."""

    keys: Idempotency
    call: Call
    ask: bool
    given: Given | None = None

    async def __aenter__(self) -> Outcome | None:
        if self.call.idempotency_key is None:
            return None
        given = (self.call.tenant, self.call.scope, self.call.idempotency_key)
        found = await self.keys.begin(self.call, given, ask=self.ask)
        self.given = given
        return found

    async def __aexit__(self, *_: object) -> None:
        if self.given is not None:
            self.keys.end(self.given)


def _aad(tenant: str, scope: str, key: bytes) -> bytes:
    return bind("twinlog/idempotency/v1", tenant, scope, key.hex())
