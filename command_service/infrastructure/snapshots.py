"""States of long streams, kept beside the log to save replaying: shortcuts that anybody may delete at any time.

What is kept is JSON behind an HMAC over the tenant, the stream, the shape of the state, and version, position and leaf
hash of the event it was taken after, so that a snapshot is believed only where exactly that event stands in the log.
Streams with personal data are never kept: beside the log they would outlive the erasure of a key.
"""

import hashlib
import hmac
from typing import Protocol

import psycopg
from pydantic import ValidationError

from command_service.infrastructure.aggregate import Loaded, S, SnapshotPolicy
from command_service.infrastructure.event_store.port import KeptState
from shared_kernel.errors import TwinlogError
from shared_kernel.events.envelope import StoredRow
from shared_kernel.observability import get_logger
from shared_kernel.privacy.cipher import bind

_PROOF_BYTES = 32

_log = get_logger("twinlog.snapshots")


class SnapshotStore(Protocol):
    """The part of the event store that keeps states."""

    async def read_snapshot(self, tenant: str, stream: str, version: int) -> KeptState | None: ...

    async def keep_snapshot(self, tenant: str, stream: str, kept: KeptState) -> None: ...


def ignored(stream: str, version: int, reason: str) -> None:
    """Say that a snapshot was of no use."""
    _log.warning("snapshot ignored", stream=stream, version=version, reason=reason)


class Snapshots:
    """Finds and keeps states under `key`, which nobody but the command service has."""

    def __init__(self, store: SnapshotStore, key: bytes) -> None:
        self._store = store
        self._proof_key = key

    async def find(self, policy: SnapshotPolicy[S], row: StoredRow) -> Loaded[S] | None:
        """The state after this event; None when none was kept, or when there is any doubt about it."""
        kept = await self._store.read_snapshot(row.tenant, row.stream, row.version)
        if kept is None:
            return None  # replaced in the meantime
        reason = self._doubt(policy, row, kept)
        if not reason:
            try:
                state = policy.read(kept.state[_PROOF_BYTES:])
            except ValidationError:
                reason = "its state does not read"
            else:
                return Loaded(state, row.version, row.position, leaf=row.leaf_hash)
        ignored(row.stream, row.version, reason)
        return None

    async def keep(self, policy: SnapshotPolicy[S], tenant: str, stream: str, found: Loaded[S], *, since: int) -> None:
        """Keep what was loaded when enough events had to be replayed since the last snapshot that was of use.

        Trouble with it is no trouble of whoever loads.
        """
        if found.state is None or found.personal or found.version - since < policy.every:
            return
        state = policy.write(found.state)
        place = _place(tenant, stream, policy.name, version=found.version, position=found.position, leaf=found.leaf)
        kept = KeptState(found.version, policy.name, self._proof(state, place) + state)
        try:
            await self._store.keep_snapshot(tenant, stream, kept)
        except (TwinlogError, psycopg.Error) as error:
            _log.warning("snapshot not kept", stream=stream, version=found.version, reason=type(error).__name__)

    def _doubt(self, policy: SnapshotPolicy[S], row: StoredRow, kept: KeptState) -> str:
        """Why not to believe it; empty when there is no reason."""
        if kept.shape != policy.name:
            return "the state has another shape in this release"
        proof, state = kept.state[:_PROOF_BYTES], kept.state[_PROOF_BYTES:]
        place = _place_of(row, policy.name)
        return "" if hmac.compare_digest(proof, self._proof(state, place)) else "its proof does not fit"

    def _proof(self, state: bytes, place: bytes) -> bytes:
        return hmac.digest(self._proof_key, place + state, hashlib.sha256)


def _place_of(row: StoredRow, shape: str) -> bytes:
    return _place(row.tenant, row.stream, shape, version=row.version, position=row.position, leaf=row.leaf_hash)


def _place(tenant: str, stream: str, shape: str, *, version: int, position: int, leaf: bytes) -> bytes:
    """What a proof binds a state to: the event it was taken after."""
    return bind(tenant, stream, shape, str(version), str(position), leaf.hex())
