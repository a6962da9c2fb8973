"""Lost answers, lost connections, a full queue, callers that go away: nothing is lost and nothing is there twice."""

import asyncio

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore, appender, batch, connections
from command_service.infrastructure.event_store.port import Appended, StoreBusy, StoreUnavailable
from shared_kernel.errors import SchemaMismatch
from tests.infrastructure.event_store.cutting_proxy import cutting_proxy
from tests.infrastructure.event_store.given import TOPIC, append, event, whole_log
from tests.support.cluster import Cluster, Database


async def test_lost_answer_is_asked_for_again_with_the_same_bytes(command_database: Database) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}, readers=1) as store,
    ):
        await store.append(append("loans-0"))
        for number in range(1, 6):
            proxy.lose_next_answer = True
            appended = await store.append(append(f"loans-{number}", 0, event(), event()))
            assert (appended.position, appended.version) == (2 * number + 1, 2)
        assert proxy.cuts == 5
        rows = await whole_log(store)
        assert [row.position for row in rows] == list(range(1, 12))


async def test_whoever_was_under_way_when_the_line_broke_hears_what_became_of_it(command_database: Database) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}, readers=1) as store,
    ):
        await store.append(append("loans-first"))
        for burst in range(5):
            proxy.lose_next_answer = True
            wishes = [append(f"loans-{burst}-{number}") for number in range(40)]
            appended = await asyncio.gather(*map(store.append, wishes))
            first = 2 + 40 * burst
            assert sorted(each.position for each in appended) == list(range(first, first + 40))
        assert proxy.cuts == 5


async def test_terminated_backends_lose_nothing(store: PostgresEventStore, command_database: Database) -> None:
    async def terminate() -> None:
        async with await psycopg.AsyncConnection.connect(command_database.app_url, autocommit=True) as other:
            for _ in range(10):
                await other.execute(
                    "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = %s",
                    ("twinlog-command",),
                )
                await asyncio.sleep(0.05)

    async def write(writer: int) -> list[Appended]:
        return [await store.append(append(f"loans-{writer}-{number}")) for number in range(40)]

    written, _ = await asyncio.gather(asyncio.gather(*map(write, range(8))), terminate())
    acknowledged = {appended.position for each in written for appended in each}
    assert len(acknowledged) == 320
    rows = await whole_log(store)
    assert [row.position for row in rows] == list(range(1, 321))


async def test_unreachable_database_is_said_after_the_patience(command_database: Database) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}, patience=0.5) as store,
    ):
        proxy.refuse = True
        proxy.cut()
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable):
            await store.append(append("loans-1"))
        assert asyncio.get_running_loop().time() - began < 30
        proxy.refuse = False
        assert (await store.append(append("loans-2"))).position == 1


@pytest.mark.parametrize("silent_from", [b"set_config", b"PREPARE", b"append_batch"])
async def test_server_that_falls_silent_is_said_after_the_patience(
    command_database: Database, monkeypatch: pytest.MonkeyPatch, silent_from: bytes
) -> None:
    monkeypatch.setattr(connections, "PREPARE_SECONDS", 1.0)
    monkeypatch.setattr(appender, "CALL_TIMEOUT", 1.0)
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}, patience=0.5) as store,
    ):
        proxy.silent_from = silent_from
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(store.append(append("loans-1")), 30)


@pytest.mark.asvs("V15.2.2")
async def test_full_queue_is_busy_and_says_when_to_come_back(command_database: Database) -> None:
    async with PostgresEventStore(command_database.app_url, topics={TOPIC}, capacity=10) as store:
        async with await psycopg.AsyncConnection.connect(command_database.owner_url) as blocker:
            await blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")  # nobody appends until this ends
            first = asyncio.create_task(store.append(append("loans-first")))
            await asyncio.sleep(0.1)
            waiting = [asyncio.create_task(store.append(append(f"loans-{number}"))) for number in range(10)]
            await asyncio.sleep(0)
            assert store.waiting == 10
            with pytest.raises(StoreBusy) as refused:
                await store.append(append("loans-late"))
            assert refused.value.headers["Retry-After"] == "1"
        assert len(await asyncio.gather(first, *waiting)) == 11


async def test_caller_who_goes_away_while_waiting_appends_nothing(
    store: PostgresEventStore, command_database: Database
) -> None:
    async with await psycopg.AsyncConnection.connect(command_database.owner_url) as blocker:
        await blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        in_flight = asyncio.create_task(store.append(append("loans-in-flight")))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(store.append(append("loans-waiting")))
        await asyncio.sleep(0)
        waiting.cancel()
        in_flight.cancel()
    await asyncio.gather(in_flight, waiting, return_exceptions=True)
    await store.append(append("loans-after"))
    assert [row.stream for row in await whole_log(store)] == ["loans-in-flight", "loans-after"]


async def test_closing_writes_what_waits(command_database: Database) -> None:
    store = PostgresEventStore(command_database.app_url, topics={TOPIC})
    await store.open()
    waiting = [asyncio.create_task(store.append(append(f"loans-{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert len({appended.position for appended in await asyncio.gather(*waiting)}) == 50
    with pytest.raises(StoreUnavailable):
        await store.append(append("loans-late"))


async def test_store_refuses_to_open_on_another_schema(empty_database: str) -> None:
    store = PostgresEventStore(empty_database, topics={TOPIC})
    with pytest.raises(SchemaMismatch, match="twinlog migrate"):
        await store.open()


async def test_store_refuses_to_open_without_a_database(cluster: Cluster) -> None:
    store = PostgresEventStore(cluster.url("there_is_none", "nobody"), topics={TOPIC})
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.open(0.3)


async def test_reads_do_not_notice_connections_that_died_in_the_pool(command_database: Database) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}) as store,
    ):
        await asyncio.gather(*(store.read_stream("default", "loans-1") for _ in range(20)))
        proxy.cut()
        assert await store.read_stream("default", "loans-1") == []


async def test_reads_say_that_the_database_is_gone(command_database: Database) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}, patience=0.5) as store,
    ):
        proxy.refuse = True
        proxy.cut()
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await store.read_stream("default", "loans-1")


async def test_fault_in_one_batch_does_not_end_the_store(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of this program")

    await store.append(append("loans-1"))
    with monkeypatch.context() as broken:
        broken.setattr(batch, "decode", faulty)
        with pytest.raises(StoreUnavailable):
            await store.append(append("loans-2"))
    assert (await store.append(append("loans-3"))).position == 3


async def test_function_that_is_not_there_is_said_at_once(
    store: PostgresEventStore, command_database: Database
) -> None:
    async with await psycopg.AsyncConnection.connect(command_database.owner_url, autocommit=True) as owner:
        await owner.execute("REVOKE EXECUTE ON FUNCTION append_events_v1 FROM twinlog_command_app")
    with pytest.raises(StoreUnavailable) as refused:
        await store.append(append("loans-1"))
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)
