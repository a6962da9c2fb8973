"""Many appends in one call: a refused one is refused alone, and colliding ones never share a batch."""

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format

from command_service.infrastructure.event_store import PostgresEventStore, batch
from command_service.infrastructure.event_store.connections import open_connection
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Appended,
    Claim,
    KeyAlreadyUsed,
    MalformedAppend,
)
from command_service.infrastructure.event_store.store import item_of
from shared_kernel.errors import TwinlogError
from shared_kernel.events.leaf import leaf_of
from shared_kernel.messaging.partition import slot_of
from tests.infrastructure.event_store.given import TAKE, append, event, key, whole_log
from tests.support.cluster import Database


async def send(connection: psycopg.AsyncConnection[Any], appends: Sequence[Append]) -> batch.Answer:
    """One call of the append function with exactly these appends."""
    items = [item_of(wish) for wish in appends]
    call, parameters = batch.call("public").as_string(connection).encode(), batch.encode(items)
    result = connection.pgconn.exec_params(call, parameters, None, [Format.BINARY] * len(parameters), Format.BINARY)
    if result.status != ExecStatus.TUPLES_OK:
        raise error_from_result(result)
    transformer = Transformer()
    transformer.set_pgresult(result)
    return batch.decode(items, transformer.load_rows(0, result.ntuples, tuple))


@pytest.mark.asvs("V2.3.3")
async def test_poisoned_stale_and_repeated_append_are_refused_alone(store: PostgresEventStore) -> None:
    await store.append(append("loans-stale"))
    await store.append(append("loans-first", key=key("used")))
    before = (await store.head())[1]
    wishes = [append(f"loans-{number}", 0, *(event() for _ in range(1 + number % 3))) for number in range(50)]
    wishes[7] = append("loans-\ud800")
    wishes[23] = append("loans-stale", 0)
    wishes[41] = append("loans-repeated", key=key("used", b"sealed again"))

    outcomes = await asyncio.gather(*map(store.append, wishes), return_exceptions=True)

    refused = {number: type(outcome) for number, outcome in enumerate(outcomes) if isinstance(outcome, Exception)}
    assert refused == {7: MalformedAppend, 23: AppendConflict, 41: KeyAlreadyUsed}
    assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 47
    rows = await whole_log(store)
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) - before == sum(len(wishes[n].events) for n, o in enumerate(outcomes) if isinstance(o, Appended))


async def test_one_call_refuses_each_for_its_own_reason(command_database: Database) -> None:
    async with await open_connection(command_database.app_url) as connection:
        await send(connection, [append("loans-stale", key=key("used"), claims=[Claim(TAKE, "book", "emma")])])
        answer = await send(
            connection,
            [
                append("loans-1", tenant="north"),
                append("loans-stale"),
                append("loans-2", 0, event(), event()),
                append("loans-3", key=key("used", b"other")),
                append("loans-4", claims=[Claim(TAKE, "book", "emma")]),
                append("loans-5", tenant="north"),
            ],
        )
        assert [describe(outcome) for outcome in answer.outcomes] == [
            (2, 1),
            "AppendConflict",
            (4, 2),
            "KeyAlreadyUsed",
            "ClaimTaken",
            (5, 1),
        ]
        cursor = await connection.execute("SELECT position, tenant, tenant_seq FROM events ORDER BY position")
        assert await cursor.fetchall() == [
            (1, "default", 1),
            (2, "north", 1),
            (3, "default", 2),
            (4, "default", 3),
            (5, "north", 2),
        ]


def describe(outcome: Appended | TwinlogError) -> tuple[int, int] | str:
    return (outcome.position, outcome.version) if isinstance(outcome, Appended) else type(outcome).__name__


async def test_repeat_beside_fresh_ones_answers_its_old_place(command_database: Database) -> None:
    async with await open_connection(command_database.app_url) as connection:
        repeated = append("loans-1", 0, event(), event())
        await send(connection, [append("loans-0"), repeated])
        answer = await send(connection, [append("loans-2"), repeated, append("loans-3")])
        assert [describe(outcome) for outcome in answer.outcomes] == [(4, 1), (3, 2), (5, 1)]


@pytest.mark.parametrize(
    "pair",
    [
        [append("loans-1"), append("loans-1")],
        [append("loans-1", key=key("k")), append("loans-2", key=key("k"))],
        [append("loans-1", claims=[Claim(TAKE, "a", "b")]), append("loans-2", claims=[Claim(TAKE, "a", "b")])],
    ],
    ids=["stream", "key", "claim"],
)
async def test_function_raises_when_it_is_given_a_colliding_batch(
    command_database: Database, pair: list[Append]
) -> None:
    async with await open_connection(command_database.app_url) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            await send(connection, [append("loans-0"), *pair])
        cursor = await connection.execute("SELECT count(*) AS events FROM events")
        assert await cursor.fetchone() == (0,)


async def test_function_refuses_a_snapshot_older_than_the_lock(command_database: Database) -> None:
    async with await open_connection(command_database.app_url) as connection:
        await connection.execute("SET default_transaction_isolation = 'repeatable read'")
        with pytest.raises(psycopg.errors.InvalidTransactionState, match="READ COMMITTED"):
            await send(connection, [append("loans-1")])


async def test_hundred_at_once_with_one_key_append_once(store: PostgresEventStore) -> None:
    wishes = [append(f"loans-{number}", key=key("k", f"{number}".encode())) for number in range(100)]
    outcomes = await asyncio.gather(*map(store.append, wishes), return_exceptions=True)
    assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, KeyAlreadyUsed) for outcome in outcomes) == 99
    assert len(await whole_log(store)) == 1


async def test_hundred_at_once_on_one_stream_append_once_per_version(store: PostgresEventStore) -> None:
    outcomes = await asyncio.gather(*(store.append(append("loans-1")) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AppendConflict) for outcome in outcomes) == 99


@pytest.mark.asvs("V11.4.3")
async def test_leaves_and_slots_are_what_python_computes(store: PostgresEventStore) -> None:
    wishes = [append(f"loans-{n}", 0, event(bytes([n]) * n), tenant=f"tenant-{n % 3}") for n in range(20)]
    await asyncio.gather(*map(store.append, wishes))
    rows = await whole_log(store)
    assert len(rows) == 20
    for row in rows:
        assert row.leaf_hash == leaf_of(row)
        assert row.leaf_version == 1
        assert row.slot == slot_of(row.tenant, row.stream)
