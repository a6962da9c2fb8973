"""The Redis client of relay and projector: it tells of a failure at once, they themselves decide when to try again.

`redis+cluster://` (or `rediss+cluster://`) names one node of a cluster, which tells of the others. There every stream
may be on a server of its own, so no command names two.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

ANSWER_SECONDS = 5.0
CLUSTER = "+cluster"
LOOK_AGAIN = 0.01
"""Seconds between two looks at the streams of a cluster, where nobody can wait for several at once."""

Entries = Sequence[Any]


class _Cluster(RedisCluster):
    """The library's, except that it connects when it is first used and calls a lost cluster by a redis.RedisError."""

    async def __aenter__(self) -> Self:
        await self._increment_usage()
        return self

    async def initialize(self, *arguments: Any, **options: Any) -> RedisCluster:
        try:
            return await super().initialize(*arguments, **options)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*arguments, **options)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error


def redis_client(url: str, seconds: float = ANSWER_SECONDS) -> Redis:
    """Connects when it is first used. Its commands raise redis.RedisError, also when no answer comes in time."""
    patience: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    if names_cluster(url):
        # Its methods are those of the other client, as far as they are used; what is not is asked for below.
        return cast("Redis", _Cluster.from_url(one_node(url), **patience))
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patience)


def names_cluster(url: str) -> bool:
    """Whether what is there is one node of a cluster."""
    return url.partition("://")[0].endswith(CLUSTER)


def one_node(url: str) -> str:
    """The URL of that node alone, as the library wants it."""
    return url.replace(CLUSTER, "", 1)


def cluster_of(client: Redis) -> RedisCluster | None:
    """The client as what it is, when it is that of a cluster."""
    found: object = client
    return found if isinstance(found, RedisCluster) else None


async def read_streams(client: Redis, after: Mapping[str, str], count: int, patience: float) -> Mapping[bytes, Entries]:
    """The next entries of streams after these ids, waiting for some up to `patience` seconds."""
    cluster = cluster_of(client)
    if cluster is None:
        block = int(patience * 1000) or None
        found: Any = await client.xread(dict(after), count=count, block=block)  # type: ignore[arg-type] # dict is invariant
        return dict(found or ())
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        read = await _read_each(cluster, after, count)
        if read or asyncio.get_running_loop().time() >= deadline:
            return read
        await asyncio.sleep(LOOK_AGAIN)


async def _read_each(cluster: RedisCluster, after: Mapping[str, str], count: int) -> Mapping[bytes, Entries]:
    await cluster.initialize()
    asked = (
        cluster.execute_command(
            "XREAD", "COUNT", count, "STREAMS", key, entry_id, target_nodes=cluster.get_node_from_key(key)
        )
        for key, entry_id in after.items()
    )
    return {key: entries for found in await asyncio.gather(*asked) for key, entries in found or ()}


async def send(client: Redis, commands: Sequence[tuple[str, bytes]]) -> None:
    """Send packed commands, each with its key; those of one server in order and in one round trip.

    Like a pipeline of the client, at half the cost: it builds and packs each command in Python. An answer that is an
    error raises redis.ResponseError; what comes after it may have been carried out all the same.
    """
    cluster = cluster_of(client)
    if cluster is None:
        pool = client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call] # redis ships it without types
        try:
            await _exchange(connection, [packed for _, packed in commands])
        finally:
            await pool.release(connection)
        return
    await cluster.initialize()
    by_node: dict[Any, list[bytes]] = {}
    for key, packed in commands:
        by_node.setdefault(cluster.get_node_from_key(key), []).append(packed)
    await asyncio.gather(*(_send_to(node, packed) for node, packed in by_node.items()))


async def _send_to(node: Any, commands: Sequence[bytes]) -> None:
    connection = node.acquire_connection()
    try:
        await _exchange(connection, commands)
    finally:
        node.release(connection)


async def _exchange(connection: Any, commands: Sequence[bytes]) -> None:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):  # one for all answers: one for each costs more than the answer
            await connection.send_packed_command(commands)
            for _ in commands:
                await connection.read_response(timeout=math.inf)
    except BaseException:
        await connection.disconnect()  # answers that were not read must not be taken for those of the next user
        raise
