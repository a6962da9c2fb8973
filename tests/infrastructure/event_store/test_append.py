"""One append at a time: what it does, and each reason for which it is refused."""

from dataclasses import replace

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Claim,
    ClaimMissing,
    ClaimTaken,
    EventIdTaken,
    KeyAlreadyUsed,
    MalformedAppend,
    PayloadTooLarge,
    UnregisteredTopic,
)
from shared_kernel.errors import SubjectErased
from tests.infrastructure.event_store.given import RELEASE, REQUIRE, TAKE, append, event, key, whole_log
from tests.support.cluster import Database


async def test_first_event_has_position_one_and_version_one(store: PostgresEventStore) -> None:
    appended = await store.append(append("loans-1"))
    assert (appended.position, appended.version) == (1, 1)


async def test_events_of_one_append_follow_each_other(store: PostgresEventStore) -> None:
    await store.append(append("loans-1"))
    appended = await store.append(append("loans-1", 1, event(), event(), event()))
    assert (appended.position, appended.version) == (4, 4)
    rows = await store.read_stream("default", "loans-1")
    assert [(row.position, row.version, row.tenant_seq) for row in rows] == [(n, n, n) for n in (1, 2, 3, 4)]


async def test_bytes_are_stored_as_they_came(store: PostgresEventStore) -> None:
    sent = event(bytes(range(256)))
    await store.append(append("loans-1", 0, sent))
    (row,) = await store.read_stream("default", "loans-1")
    assert (row.payload, row.metadata, row.event_id) == (sent.payload, sent.metadata, sent.event_id)


async def test_each_tenant_counts_its_own_events(store: PostgresEventStore) -> None:
    for tenant in ("north", "south", "north"):
        version = len(await store.read_stream(tenant, "loans-1"))
        await store.append(append("loans-1", version, tenant=tenant))
    rows = await whole_log(store)
    assert [(row.tenant, row.tenant_seq, row.version) for row in rows] == [
        ("north", 1, 1),
        ("south", 1, 1),
        ("north", 2, 2),
    ]


async def test_stream_of_another_tenant_is_not_there(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", tenant="north"))
    assert await store.read_stream("south", "loans-1") == []


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_append_at_another_version_is_refused(store: PostgresEventStore, expected: int) -> None:
    await store.append(append("loans-1"))
    with pytest.raises(AppendConflict):
        await store.append(append("loans-1", expected))
    assert len(await whole_log(store)) == 1


async def test_the_same_append_again_answers_where_it_is(store: PostgresEventStore) -> None:
    once = append("loans-1", 0, event(), event(), claims=[Claim(TAKE, "book", "emma")], key=key("k"))
    first = await store.append(once)
    await store.append(append("loans-1", 2))
    assert await store.append(once) == first
    assert len(await whole_log(store)) == 3


async def test_event_id_of_another_event_is_refused(store: PostgresEventStore) -> None:
    taken = event()
    await store.append(append("loans-1", 0, taken))
    with pytest.raises(EventIdTaken):
        await store.append(append("loans-2", 0, taken))
    assert await store.read_stream("default", "loans-2") == []


@pytest.mark.asvs("V1.5.2")
async def test_unregistered_topic_is_refused(store: PostgresEventStore) -> None:
    with pytest.raises(UnregisteredTopic, match=r"lending\.BookBurnt\.v1"):
        await store.append(append("loans-1", 0, event(topic="lending.BookBurnt.v1")))


async def test_payload_over_the_limit_is_refused(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, event(b"x" * 1_048_576)))
    with pytest.raises(PayloadTooLarge):
        await store.append(append("loans-1", 1, event(b"x" * 1_048_577)))


@pytest.mark.parametrize(
    "malformed",
    [
        append("loans-1", -1),
        append("loans-1", 2**63 - 1),
        append("loans-1", 2**80),
        append("", 0),
        append("loans-\x00", 0),
        append("loans-\ud800", 0),
        append("x" * 513, 0),
        append("loans-1", tenant="North"),
        append("loans-1", tenant="no.dots"),
        append("loans-1", claims=[Claim(TAKE, "book", "")]),
        append("loans-1", claims=[Claim(TAKE, "book", "emma"), Claim(TAKE, "book", "emma")]),
    ],
)
async def test_what_the_log_cannot_hold_is_refused_by_name(store: PostgresEventStore, malformed: Append) -> None:
    with pytest.raises(MalformedAppend):
        await store.append(malformed)
    assert await whole_log(store) == []


class TestClaims:
    async def test_claim_is_held_by_its_stream(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")]))
        assert await store.claim_holder("default", "book", "emma") == "loans-1"
        assert await store.claim_holder("north", "book", "emma") is None

    async def test_claim_of_another_stream_is_refused_and_named(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")]))
        with pytest.raises(ClaimTaken) as refused:
            await store.append(append("loans-2", claims=[Claim(TAKE, "book", "ulysses"), Claim(TAKE, "book", "emma")]))
        assert refused.value.claim == Claim(TAKE, "book", "emma")
        assert await store.claim_holder("default", "book", "ulysses") is None

    async def test_own_claim_may_be_taken_again(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")]))
        await store.append(append("loans-1", 1, claims=[Claim(TAKE, "book", "emma")]))
        assert await store.claim_holder("default", "book", "emma") == "loans-1"

    async def test_released_claim_is_free_again(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")]))
        await store.append(append("loans-1", 1, claims=[Claim(RELEASE, "book", "emma")]))
        await store.append(append("loans-2", claims=[Claim(TAKE, "book", "emma")]))
        assert await store.claim_holder("default", "book", "emma") == "loans-2"

    async def test_only_the_holder_can_release(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")]))
        await store.append(append("loans-2", claims=[Claim(RELEASE, "book", "emma")]))
        assert await store.claim_holder("default", "book", "emma") == "loans-1"

    async def test_required_claim_must_be_held_by_somebody(self, store: PostgresEventStore) -> None:
        required = Claim(REQUIRE, "reader", "ann")
        with pytest.raises(ClaimMissing) as refused:
            await store.append(append("loans-1", claims=[required]))
        assert refused.value.claim == required
        await store.append(append("readers-ann", claims=[Claim(TAKE, "reader", "ann")]))
        await store.append(append("loans-1", claims=[required]))


class TestIdempotency:
    async def test_kept_record_is_found(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", key=key("k")))
        assert await store.find_idempotent("default", "ann", key("k").key) == key("k")
        assert await store.find_idempotent("default", "bob", key("k").key) is None
        assert await store.find_idempotent("north", "ann", key("k").key) is None

    async def test_used_key_answers_its_record_before_any_other_reason(self, store: PostgresEventStore) -> None:
        await store.append(append("loans-1", claims=[Claim(TAKE, "book", "emma")], key=key("k")))
        with pytest.raises(KeyAlreadyUsed) as refused:
            await store.append(append("loans-1", 0, claims=[Claim(TAKE, "book", "emma")], key=key("k", b"other")))
        assert refused.value.record == key("k")

    async def test_key_is_free_after_a_day(self, store: PostgresEventStore, command_database: Database) -> None:
        await store.append(append("loans-1", key=key("k")))
        day = 86_400_000_000
        with psycopg.connect(command_database.owner_url) as owner:
            owner.execute("UPDATE idempotency SET created_at = created_at - %s - 1", (day,))
        assert await store.find_idempotent("default", "ann", key("k").key) is None
        await store.append(append("loans-2", key=key("k", b"new")))
        assert await store.find_idempotent("default", "ann", key("k").key) == key("k", b"new")

    async def test_old_records_are_forgotten(self, store: PostgresEventStore, command_database: Database) -> None:
        for number in range(3):
            await store.append(append(f"loans-{number}", key=key(str(number))))
        with psycopg.connect(command_database.owner_url) as owner:
            owner.execute("UPDATE idempotency SET created_at = 1 WHERE key <> %s", (key("0").key,))
        assert [await store.forget_answers(1), await store.forget_answers(), await store.forget_answers()] == [1, 1, 0]
        assert await store.find_idempotent("default", "ann", key("0").key) == key("0")

    async def test_no_op_keeps_its_record_and_answers_the_newest_position(self, store: PostgresEventStore) -> None:
        before = await store.append(append("loans-1"))
        no_op = Append("default", "loans-1", 1, (), idempotency=key("k"))
        appended = await store.append(no_op)
        assert (appended.position, appended.version) == (before.position, 1)
        assert await store.append(no_op) == appended
        with pytest.raises(KeyAlreadyUsed):
            await store.append(replace(no_op, idempotency=key("k", b"made for another request")))

    async def test_no_op_on_a_stale_version_is_refused(self, store: PostgresEventStore) -> None:
        with pytest.raises(AppendConflict):
            await store.append(Append("default", "loans-1", 1, (), idempotency=key("k")))


async def test_erased_subject_is_refused(store: PostgresEventStore, command_database: Database) -> None:
    with psycopg.connect(command_database.owner_url) as owner:
        owner.execute("INSERT INTO erased_subjects (tenant, subject, erased_at) VALUES ('default', 'ann', 1)")
    with pytest.raises(SubjectErased):
        await store.append(append("loans-1", subjects=["ann"]))
    await store.append(append("loans-1", subjects=["ann"], tenant="north"))
    await store.append(append("loans-1", subjects=["bob"]))
