"""Streams on a cluster of three real servers: relay and projector never name two streams in one command."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.local.ports import LOOPBACK, free_port
from shared_kernel.messaging.client import cluster_of, read_streams, redis_client, send
from shared_kernel.messaging.partition import stream_key
from tests.relay.test_relay import published
from tests.support.cluster import Database, Vault
from tests.support.feed_server import running_feed
from tests.support.history import History
from tests.support.read_side import eventually, read_side, write
from tests.support.tallies import create_tables
from tests.support.valkey_cluster import running_valkey_cluster
from tests.support.write_side import PARTITIONS, write_side

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    with running_valkey_cluster() as url:
        yield url


@pytest.fixture
async def streams(cluster_url: str) -> Redis:
    """A client of the emptied cluster."""
    client = redis_client(cluster_url)
    cluster = cluster_of(client)
    assert cluster is not None
    await cluster.flushall(target_nodes=cluster.PRIMARIES)
    return client


async def test_streams_are_on_several_servers(streams: Redis) -> None:
    cluster = cluster_of(streams)
    assert cluster is not None
    await cluster.initialize()
    nodes = [cluster.get_node_from_key(stream_key(number)) for number in range(PARTITIONS)]
    assert len({node.port for node in nodes if node}) == 3
    assert {node.host for node in nodes if node} == {LOOPBACK}
    await streams.aclose()


async def test_relay_publishes_everything_once_and_in_order_and_trims(
    command_database: Database, cluster_url: str, streams: Redis
) -> None:
    async with write_side(command_database, cluster_url) as side:
        async with side.relay() as status:
            await published(side, (await side.append_many(200)).position)
            assert set((await status.readiness()).values()) == {""}
        async with side.relay():  # it agrees with what the cluster holds
            await published(side, (await side.append_many(50)).position)
        assert await side.positions() == list(range(1, 251))
    await streams.aclose()


async def test_projector_follows_the_streams_of_a_cluster_without_the_feed(
    query_database: Database, vault_database: Vault, cluster_url: str, streams: Redis
) -> None:
    create_tables(query_database.owner_url)
    async with (
        running_feed(History()) as server,
        read_side(query_database.app_url, vault_database.reader_url, cluster_url, server) as side,
    ):
        async with side.projector() as tools:
            write(side, 40)
            await side.publish()
            await side.caught_up()
            write(side, 40)
            await side.publish(80)
            await side.caught_up()
            await eventually(lambda: told(side.redis), "checkpoints are told")
            assert (await tools.status.readiness())["redis"] == ""
        assert server.asked <= 1  # to find where operators' requests begin
        assert sorted((await side.totals()).values()) == [1] * 80
        started = asyncio.get_running_loop().time()
        async with side.projector():
            write(side, 1)
            await side.publish(160)
            await side.caught_up()
        assert asyncio.get_running_loop().time() - started < 10
    await streams.aclose()


async def test_cluster_that_is_away_is_lost_as_any_redis_is() -> None:
    async with redis_client(f"redis+cluster://{LOOPBACK}:{free_port()}") as client:
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: client.get("events:mark"),
            lambda: read_streams(client, {stream_key(0): "0"}, 1, 0.1),
            lambda: send(client, [(stream_key(0), b"")]),
        ]
        for attempt in attempts:
            with pytest.raises(RedisError):
                await attempt()


async def told(client: Redis) -> bool:
    return bool(await client.hgetall("projector:checkpoints"))
