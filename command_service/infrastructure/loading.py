"""From a stream to its state: from the first event on, or from a snapshot that proves what it says."""

from collections.abc import Sequence
from dataclasses import dataclass

from command_service.infrastructure.aggregate import Aggregate, Loaded, S
from command_service.infrastructure.event_store.port import STREAM_PAGE, EventStore
from command_service.infrastructure.snapshots import Snapshots, ignored
from shared_kernel.events.archiving import StreamArchived
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import StoredRow
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault


@dataclass(frozen=True, slots=True)
class Loading:
    """Reads streams; what it answers does not depend on whether there are snapshots."""

    store: EventStore
    vault: KeyVault
    codec: PayloadCodec
    snapshots: Snapshots

    async def load(self, aggregate: Aggregate[S], tenant: str, stream: str) -> Loaded[S]:
        """The stream's state; personal fields of erased people read `[erased]`."""
        if aggregate.snapshots is None:
            return await self._folded(aggregate, Loaded(None), await self.store.read_stream(tenant, stream))
        begun, rows = await self._begun(aggregate, tenant, stream)
        found = await self._replayed(aggregate, tenant, stream, begun, rows)
        await self.snapshots.keep(aggregate.snapshots, tenant, stream, found, since=begun.version)
        return found

    async def _begun(
        self, aggregate: Aggregate[S], tenant: str, stream: str
    ) -> tuple[Loaded[S], Sequence[StoredRow] | None]:
        """What the newest snapshot says if all it says is true, and the first page from its event on.

        For a stream without one this is one query, and for a stream that is not there two.
        """
        rows = await self.store.read_stream_from_snapshot(tenant, stream)
        if not rows:
            rows = await self.store.read_stream(tenant, stream, 0, STREAM_PAGE)
            if rows:
                ignored(stream, 0, "it is of an event that the stream does not have")
        if not rows or rows[0].version == 1 or aggregate.snapshots is None:
            return Loaded(None), rows
        found = await self.snapshots.find(aggregate.snapshots, rows[0])
        return (Loaded(None), None) if found is None else (found, rows)

    async def _replayed(
        self, aggregate: Aggregate[S], tenant: str, stream: str, found: Loaded[S], rows: Sequence[StoredRow] | None
    ) -> Loaded[S]:
        """The state after all events that follow, of which `rows` are the first page if it is there already."""
        if rows is None:
            rows = await self.store.read_stream(tenant, stream, found.version, STREAM_PAGE)
        while rows:
            found = await self._folded(aggregate, found, [row for row in rows if row.version > found.version])
            full = len(rows) == STREAM_PAGE
            rows = await self.store.read_stream(tenant, stream, found.version, STREAM_PAGE) if full else ()
        return found

    async def _folded(self, aggregate: Aggregate[S], found: Loaded[S], rows: Sequence[StoredRow]) -> Loaded[S]:
        if not rows:
            return found
        events, personal = await self._decoded(rows)
        state, last = found.state, rows[-1]
        for event in events:
            state = state if isinstance(event, StreamArchived) else aggregate.evolve(state, event)
        return Loaded(
            state,
            last.version,
            last.position,
            leaf=last.leaf_hash,
            archived=last.topic == StreamArchived.TOPIC,
            personal=found.personal or personal,
        )

    async def _decoded(self, rows: Sequence[StoredRow]) -> tuple[Sequence[Event], bool]:
        """The events, and whether there is anything personal in them."""
        subjects = [self.codec.subject_of(row) for row in rows]
        keys = await self.vault.keys_of((rows[0].tenant, subject) for subject in set(subjects) if subject)
        events = [
            self.codec.decode(row, keys.get((row.tenant, subject or ""))).event
            for row, subject in zip(rows, subjects, strict=True)
        ]
        return events, any(subjects)
