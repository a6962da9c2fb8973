"""The Redis side of the relay: what is there, what is added, and the mark."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from command_service.relay.refusals import ForeignEntry
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY, told
from shared_kernel.messaging.client import cluster_of, send
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.message import Message, encode, words
from shared_kernel.messaging.operations import KEPT, OPERATIONS_KEY, OPERATIONS_PREFIX
from shared_kernel.messaging.partition import partition_of, stream_key

LEAF_FIELD = b"ce_leafhash"


@dataclass(frozen=True, slots=True)
class Top:
    """The newest entry of a partition's stream."""

    epoch: int
    position: int
    leaf: bytes


class Publisher:
    """Adds entries in order, keeping about `max_length` per partition. Every method raises redis.RedisError.

    Cutting a stream before a slow reader has read it is safe: the reader sees the hole and reads the feed.
    """

    def __init__(self, client: Redis, max_length: int) -> None:
        self._client = client
        self._cap = str(max_length).encode()

    async def tops(self, partitions: int) -> Mapping[int, Top]:
        """The newest entry of each stream that has one. Raises ForeignEntry for one that is not ours."""
        pipeline = self._client.pipeline(transaction=False)
        for partition in range(partitions):
            pipeline.xrevrange(stream_key(partition), count=1)
        newest = await pipeline.execute()
        return {partition: _top(partition, *entries[0]) for partition, entries in enumerate(newest) if entries}

    async def mark(self) -> Mark | None:
        """The mark as it is in Redis; one that nobody can read counts as none."""
        stored = await self._client.get(MARK_KEY)
        try:
            return Mark.decode(stored) if isinstance(stored, bytes) else None
        except (KeyError, TypeError, ValueError):
            return None

    async def publish(self, messages: Sequence[Message], mark: Mark) -> None:
        """Add the messages in order, then the mark that covers them, in one round trip unless it is a cluster.

        An entry that Redis refuses raises redis.ResponseError; those after it may have been added all the same.
        """
        commands = [self._xadd(message, len(mark.last)) for message in messages]
        if cluster_of(self._client) is None:
            await send(self._client, [*commands, (MARK_KEY, _packed((b"SET", MARK_KEY.encode(), mark.encode())))])
            return
        await send(self._client, commands)  # on other servers, so the mark waits until they have answered
        await self.announce(mark)

    async def announce(self, mark: Mark) -> None:
        await self._client.set(MARK_KEY, mark.encode())

    async def trim(self, epoch: int, partitions: int) -> None:
        """Let go of what every projection has handled, as far as the projectors have told; about, so that it is cheap.

        A partition of which one has not told anything in this epoch is left alone. The newest entry always stays.
        """
        stored: Any = await self._client.hgetall(CHECKPOINTS_KEY)
        handled: dict[int, tuple[int, int]] = {}
        for each in told(stored):
            reached = (each.epoch, each.position)
            handled[each.partition] = min(handled.get(each.partition, reached), reached)
        pipeline = self._client.pipeline(transaction=False)
        for partition, (told_epoch, position) in handled.items():
            if told_epoch == epoch and partition < partitions:
                pipeline.xtrim(stream_key(partition), minid=f"{epoch}-{position}", approximate=True)
        await pipeline.execute()

    async def tell_operators_wishes(self, messages: Sequence[Message]) -> None:
        """Add those of the messages that are requests of operators to the stream that is read without any batch.

        One that Redis has already is refused, and whatever is missing there, the projector reads from the feed.
        """
        for message in messages:
            if message.row.stream.startswith(OPERATIONS_PREFIX):
                fields: dict[Any, Any] = dict(encode(message))
                with suppress(ResponseError):
                    await self._client.xadd(OPERATIONS_KEY, fields, id=message.entry_id, maxlen=KEPT)

    def _xadd(self, message: Message, partitions: int) -> tuple[str, bytes]:
        key = stream_key(partition_of(message.row.slot, partitions))
        head = (b"XADD", key.encode(), b"MAXLEN", b"~", self._cap, message.entry_id.encode())
        return key, _packed((*head, *words(message)))


def _packed(command: tuple[bytes, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub knows tuples of length one only
    return packed


def _top(partition: int, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Top:
    try:
        epoch, position = entry_id.split(b"-")
        return Top(int(epoch), int(position), bytes.fromhex(fields[LEAF_FIELD].decode()))
    except (KeyError, ValueError):
        key = stream_key(partition)
        raise ForeignEntry(f"The newest entry of {key} in Redis is not one of a relay; is this Redis shared?") from None
