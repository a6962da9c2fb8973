"""Idempotency keys: a request repeated under its key is carried out once and answered as before.

The store keeps HMACs of key and request (a plain hash of a registration's body would let its reader try passwords)
and the outcome encrypted under the acting person's key, so that erasing the person takes it along.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from command_service.infrastructure.answer import Outcome
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import EventStore, IdempotencyRecord
from shared_kernel.auth.secrets import derive
from shared_kernel.errors import IdempotencyInFlight, IdempotencyKeyReused, ReplayUnavailable, SubjectErased
from shared_kernel.privacy.cipher import Unreadable, bind, open_bytes, seal_bytes
from shared_kernel.privacy.vault import KeyVault

_SUBJECT_BYTES = 16

Slot = tuple[str, str, bytes]
"""(tenant, scope, HMAC of the key)"""


class Idempotency:
    """The keys of all callers; knows the requests in flight in this process, the store those that were accepted.

    A request that another process is working on meets its first twin when it appends: the store takes only one.
    """

    def __init__(self, store: EventStore, vault: KeyVault, secret: bytes) -> None:
        self._store = store
        self._vault = vault
        self._key = derive(secret, "idempotency")
        self._fingerprint_key = derive(secret, "idempotency-fingerprint")
        self._in_flight: set[Slot] = set()

    @asynccontextmanager
    async def once(self, call: Call, *, ask: bool) -> AsyncIterator[Outcome | None]:
        """Carry out a call under its key: yields the outcome kept from an earlier time, or None when this is the first.

        Without `ask` it is always None, and the store will say when it is asked to append. Raises IdempotencyInFlight,
        IdempotencyKeyReused and ReplayUnavailable.
        """
        if call.idempotency_key is None:
            yield None
            return
        slot = self._slot(call, call.idempotency_key)
        if slot in self._in_flight:
            raise IdempotencyInFlight
        self._in_flight.add(slot)
        try:
            record = await self._store.find_idempotent(*slot) if ask else None
            yield None if record is None else await self.recall(record, call)
        finally:
            self._in_flight.discard(slot)

    async def record(self, call: Call, outcome: Outcome, *, secret: bool) -> IdempotencyRecord | None:
        """What to append beside the events; None for a call without a key. The acting user must have a subject key."""
        if call.idempotency_key is None:
            return None
        _, scope, key = self._slot(call, call.idempotency_key)
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

    def _slot(self, call: Call, key: str) -> Slot:
        return call.tenant, call.scope, hmac.digest(self._key, key.encode(), hashlib.sha256)

    def _fingerprint(self, call: Call) -> bytes:
        parts = b"".join(len(part).to_bytes(8, "big") + part for part in call.request)
        return hmac.digest(self._fingerprint_key, parts, hashlib.sha256)


def _aad(tenant: str, scope: str, key: bytes) -> bytes:
    return bind("twinlog/idempotency/v1", tenant, scope, key.hex())
