"""Raising the epoch after a restore: from then on what is appended cannot be taken for what was there before.

The new epoch is one above the highest that anybody has seen, so that no entry, mark, checkpoint or token of before can
ever be mistaken for one of it. The succession is an event of the log: it travels to every reader, and into every proof.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from redis.asyncio import Redis

from command_service.infrastructure.call import DEFAULT_TENANT
from command_service.infrastructure.event_store.connections import open_connection
from command_service.relay.log import CHANNEL
from command_service.relay.publisher import Publisher
from shared_kernel.clock import SystemClock, microseconds, rfc3339
from shared_kernel.events.envelope import Metadata
from shared_kernel.events.epochs import EpochBegun
from shared_kernel.ids import Uuid7Ids
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY, told

STREAM = "epochs-log"

_LOCK = sql.SQL("SELECT pg_advisory_xact_lock((29815::bigint << 32) + 'events'::regclass::oid::bigint)")
_STANDING = sql.SQL("""
    SELECT i.epoch, i.partitions,
           coalesce((SELECT e.position FROM events AS e ORDER BY e.position DESC LIMIT 1), 0) AS head,
           coalesce((SELECT e.version FROM events AS e WHERE e.tenant = %s AND e.stream = %s
                      ORDER BY e.version DESC LIMIT 1), 0) AS version
      FROM installation AS i
""")
_APPEND = sql.SQL("""
    SELECT a.outcome, a.last_position FROM append_events_v1(
        tenants => ARRAY[%(tenant)s::text], item_tenant => '{1}', item_stream => ARRAY[%(stream)s::text],
        item_expected => ARRAY[%(before)s::bigint], item_events => '{1}',
        event_item => '{1}', event_seq => '{1}', event_stream => ARRAY[%(stream)s::text],
        event_version => ARRAY[%(version)s::bigint], event_topic => ARRAY[%(topic)s::text], event_format => '{1}',
        event_payload => ARRAY[%(payload)s::bytea], event_metadata => ARRAY[%(metadata)s::bytea],
        event_ids => ARRAY[%(id)s::uuid],
        key_item => '{}', key_actor => '{}', key_value => '{}', key_fingerprint => '{}', key_status => '{}',
        key_answer => '{}', claim_item => '{}', claim_action => '{}', claim_kind => '{}', claim_key => '{}',
        subject_item => '{}', subject_id => '{}',
        track_item => '{}', track_owner => '{}', track_name => '{}', track_id => '{}') AS a
""")
_RAISE = sql.SQL("UPDATE installation SET epoch = %s")
_NOTIFY = sql.SQL("SELECT pg_notify(%s, '')")


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest epoch that is known in some place, and the newest position there."""

    place: str
    epoch: int
    position: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def seen_in_redis(client: Redis, partitions: int) -> Sequence[Sighting]:
    """In streams, mark, and what the projectors tell. Raises redis.RedisError, ForeignEntry."""
    publisher = Publisher(client, 1)
    tops, mark = await publisher.tops(partitions), await publisher.mark()
    stored: Any = await client.hgetall(CHECKPOINTS_KEY)
    marked = [(mark.epoch, mark.head)] if mark else []
    return [
        *newest("streams in Redis", ((top.epoch, top.position) for top in tops.values())),
        *newest("mark in Redis", marked),
        *newest("checkpoints in Redis", ((each.epoch, each.position) for each in told(stored))),
    ]


def newest(place: str, seen: Iterable[tuple[int, int]]) -> Sequence[Sighting]:
    """The newest of these (epoch, position); nothing where nothing is."""
    return [Sighting(place, *best) for best in [max(seen, default=None)] if best]


async def standing(connection: AsyncConnection[Any]) -> tuple[int, int, int, int]:
    """(epoch, partitions, newest position, version of the stream of successions). Raises psycopg.Error."""
    cursor = await connection.execute(_STANDING, (DEFAULT_TENANT, STREAM))
    epoch, partitions, head, version = await cursor.fetchone() or (0, 0, 0, 0)
    return epoch, partitions, head, version


async def begin_epoch(owner_url: str, sightings: Sequence[Sighting], reason: str) -> tuple[EpochBegun, int]:
    """Raise the epoch and write down the succession; both or neither. Also the position of the event.

    Only the owner of the log may. Nothing is appended meanwhile, and no relay publishes what comes after under the old
    epoch: it looks at the epoch after it has read. Raises psycopg.Error.
    """
    connection = await open_connection(owner_url)
    async with connection, connection.transaction():
        await connection.execute(_LOCK)
        epoch, _, head, version = await standing(connection)
        begun = _succession(epoch, head, sightings, reason)
        position = await _append(connection, begun, version)
        await connection.execute(_RAISE, (begun.epoch,))
        await connection.execute(_NOTIFY, (CHANNEL,))
    return begun, position


def _succession(epoch: int, head: int, sightings: Sequence[Sighting], reason: str) -> EpochBegun:
    known = [(epoch, head), *((each.epoch, each.position) for each in sightings)]
    highest, seen_upto = max(known)
    return EpochBegun(epoch=highest + 1, followed=highest, restored_to=head, seen_upto=seen_upto, reason=reason)


async def _append(connection: AsyncConnection[Any], begun: EpochBegun, version: int) -> int:
    ids, now = Uuid7Ids(), rfc3339(microseconds(SystemClock().now()))
    metadata = Metadata(actor="system:epoch", correlation_id=str(ids.new()), occurred_at=now)
    event = {
        "tenant": DEFAULT_TENANT,
        "stream": STREAM,
        "before": version,
        "version": version + 1,
        "topic": begun.TOPIC,
        "payload": begun.model_dump_json().encode(),
        "metadata": metadata.encode(),
        "id": ids.new(),
    }
    await connection.execute(_APPEND, event)
    return (await standing(connection))[2]
