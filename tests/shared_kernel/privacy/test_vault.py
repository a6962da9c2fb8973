"""The key vault on real PostgreSQL: one key per person, and none for the erased."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation
from psycopg_pool import AsyncConnectionPool

from shared_kernel.errors import ServiceUnavailable, SubjectErased
from shared_kernel.privacy.cipher import SubjectKey, Unreadable
from shared_kernel.privacy.vault import Kek, KeyVault
from tests.shared_kernel.privacy.vaults import KEK, NEW, OLD, Counting, Hand, as_owner, erase, opened
from tests.support.cluster import Cluster, Vault


async def test_made_key_is_found_by_both_services(writer: Counting, reader: Counting) -> None:
    made = await writer.make_key("acme", "alice")
    assert len(made.secret) == 32
    assert await reader.key_of("acme", "alice") == made
    assert await writer.make_key("acme", "alice") == made


async def test_key_that_exists_is_not_written_again(writer: Counting, vault_database: Vault) -> None:
    made = await writer.make_key("acme", "alice")
    assert await writer.make_key("acme", "alice") == made
    async with opened(vault_database.reader_url) as other:
        assert await other.make_key("acme", "alice") == made, "even a role that may not write needs nothing more"


async def test_key_survives_in_the_database_wrapped_only(writer: Counting, vault_database: Vault) -> None:
    made = await writer.make_key("acme", "alice")
    ((wrapped, generation),) = as_owner(vault_database, "SELECT wrapped, kek_generation FROM subject_keys")
    assert isinstance(wrapped, bytes)
    assert made.secret not in wrapped
    assert generation == 1
    async with opened(vault_database.reader_url) as later:
        assert await later.key_of("acme", "alice") == made


async def test_people_and_tenants_have_keys_of_their_own(writer: Counting) -> None:
    pairs = [("acme", "alice"), ("acme", "bob"), ("other", "alice")]
    made = [await writer.make_key(*pair) for pair in pairs]
    assert len({key.secret for key in made}) == len({key.key_id for key in made}) == 3
    assert await writer.keys_of(pairs) == dict(zip(pairs, made, strict=True))


async def test_unknown_people_are_missing_from_the_answer(writer: Counting) -> None:
    alice = await writer.make_key("acme", "alice")
    assert await writer.keys_of([("acme", "alice"), ("acme", "nobody"), ("", "")]) == {("acme", "alice"): alice}
    assert await writer.key_of("acme", "nobody") is None
    assert await writer.keys_of([]) == {}


async def test_many_makers_of_one_key_agree(vault_database: Vault) -> None:
    async with opened(vault_database.writer_url) as one, opened(vault_database.writer_url) as two:
        keys = await asyncio.gather(*(vault.make_key("acme", "alice") for vault in (one, two) for _ in range(8)))
    assert len({key.secret for key in keys}) == 1
    assert as_owner(vault_database, "SELECT count(*) FROM subject_keys") == [(1,)]


async def test_many_who_ask_at_once_cause_one_question(writer: Counting, reader: Counting) -> None:
    await writer.make_key("acme", "alice")
    keys = await asyncio.gather(*(reader.key_of("acme", "alice") for _ in range(50)))
    assert len(set(keys)) == 1
    assert reader.questions == 1


async def test_batch_asks_once_and_only_for_what_is_not_known(writer: Counting, reader: Counting) -> None:
    pairs = [("acme", f"person-{number}") for number in range(40)]
    for pair in pairs:
        await writer.make_key(*pair)
    await reader.key_of(*pairs[0])
    assert len(await reader.keys_of(pairs + pairs)) == 40
    assert reader.questions == 2


async def test_overlapping_batches_share_what_is_on_its_way(writer: Counting, reader: Counting) -> None:
    pairs = [("acme", name) for name in ("a", "b", "c")]
    for pair in pairs:
        await writer.make_key(*pair)
    left, right = await asyncio.gather(reader.keys_of(pairs[:2]), reader.keys_of(pairs[1:]))
    assert set(left) == set(pairs[:2])
    assert set(right) == set(pairs[1:])
    assert left[pairs[1]] == right[pairs[1]]


async def test_one_who_gives_up_does_not_take_the_others_answer_along(writer: Counting, reader: Counting) -> None:
    made = await writer.make_key("acme", "alice")
    impatient, patient = (asyncio.create_task(reader.key_of("acme", "alice")) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == made


@pytest.mark.asvs("V14.2.2")
async def test_key_is_remembered_for_five_seconds_at_most(writer: Counting, vault_database: Vault) -> None:
    clock = Hand()
    await writer.make_key("acme", "alice")
    async with opened(vault_database.reader_url, clock=clock) as reader:
        assert await reader.key_of("acme", "alice")
        erase(vault_database, "alice")
        clock.time = 4.9
        assert await reader.key_of("acme", "alice") is not None
        clock.time = 5.0
        assert await reader.key_of("acme", "alice") is None


async def test_longer_memory_cannot_be_configured(vault_database: Vault) -> None:
    clock = Hand()
    async with AsyncConnectionPool(vault_database.writer_url, min_size=1, open=False) as pool:
        vault = KeyVault(pool, KEK, clock=clock, cache_seconds=3_600)
        await vault.make_key("acme", "alice")
        erase(vault_database, "alice")
        clock.time = 5.0
        assert await vault.key_of("acme", "alice") is None


async def test_evicted_key_is_gone_at_once(writer: Counting, vault_database: Vault) -> None:
    await writer.make_key("acme", "alice")
    erase(vault_database, "alice")
    writer.evict("acme", "alice")
    assert await writer.key_of("acme", "alice") is None


class Overtaken(Counting):
    """A vault whose every insert is overtaken by somebody who asked just before and hears slowly."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asking: asyncio.Task[object] | None = None
        self.slow = False

    async def _load(self, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], SubjectKey]:
        slow, self.slow = self.slow, False
        keys = await super()._load(pairs)
        if slow:
            await asyncio.sleep(0.2)
        return keys

    async def _insert(self, params: tuple[Any, ...]) -> None:
        self.slow = True
        self.asking = asyncio.create_task(self.key_of("acme", "alice"))
        await asyncio.sleep(0.05)
        await super()._insert(params)


async def test_somebody_s_older_question_does_not_hide_a_new_key(vault_database: Vault) -> None:
    async with AsyncConnectionPool(vault_database.writer_url, min_size=2, open=False) as pool:
        vault = Overtaken(pool, KEK)
        made = await vault.make_key("acme", "alice")
        assert vault.asking is not None
        assert await vault.asking is None
        assert await vault.key_of("acme", "alice") == made


class Late(Counting):
    """A vault where the person is erased at once after every insert."""

    def __init__(self, pool: Any, kek: Kek, database: Vault) -> None:
        super().__init__(pool, kek)
        self.database = database

    async def _insert(self, params: tuple[Any, ...]) -> None:
        await super()._insert(params)
        erase(self.database, "alice")


async def test_person_erased_while_the_key_is_made_has_none(vault_database: Vault) -> None:
    async with AsyncConnectionPool(vault_database.writer_url, min_size=1, open=False) as pool:
        vault = Late(pool, KEK, vault_database)
        with pytest.raises(SubjectErased):
            await vault.make_key("acme", "alice")
        assert await vault.key_of("acme", "alice") is None


async def test_row_that_the_schema_refuses_is_no_erasure(writer: Counting) -> None:
    with pytest.raises(CheckViolation, match="subject_keys_wrapped_ck"):
        await writer._insert(("acme", "alice", UUID(int=1), b"short", 1))


async def test_absence_is_never_remembered(writer: Counting, reader: Counting) -> None:
    assert await reader.key_of("acme", "alice") is None
    made = await writer.make_key("acme", "alice")
    assert await reader.key_of("acme", "alice") == made


async def test_erased_person_never_gets_a_key_again(writer: Counting, vault_database: Vault) -> None:
    await writer.make_key("acme", "alice")
    erase(vault_database, "alice")
    writer.evict("acme", "alice")
    for _ in range(2):
        with pytest.raises(SubjectErased):
            await writer.make_key("acme", "alice")
    assert as_owner(vault_database, "SELECT count(*) FROM subject_keys") == [(0,)]
    elsewhere = await writer.make_key("other", "alice")  # another tenant's person is another person
    assert await writer.key_of("other", "alice") == elsewhere


async def test_fence_alone_makes_a_key_unreadable(writer: Counting, reader: Counting, vault_database: Vault) -> None:
    await writer.make_key("acme", "alice")
    erase(vault_database, "alice", fence_only=True)
    assert await reader.key_of("acme", "alice") is None


async def test_key_and_fence_of_one_person_wait_for_each_other(writer: Counting, vault_database: Vault) -> None:
    async with await psycopg.AsyncConnection.connect(vault_database.owner_url) as erasing:
        await erasing.execute("INSERT INTO erased_subjects (tenant, subject) VALUES ('acme', 'alice')")
        making = asyncio.create_task(writer.make_key("acme", "alice"))
        await writer.make_key("acme", "bob")  # others do not wait
        await asyncio.sleep(0.1)
        assert not making.done(), "the key must wait until the fence stands or falls"
        await erasing.commit()
        with pytest.raises(SubjectErased):
            await making


async def test_fence_that_was_rolled_back_hinders_nobody(writer: Counting, vault_database: Vault) -> None:
    async with await psycopg.AsyncConnection.connect(vault_database.owner_url) as erasing:
        await erasing.execute("INSERT INTO erased_subjects (tenant, subject) VALUES ('acme', 'alice')")
        making = asyncio.create_task(writer.make_key("acme", "alice"))
        await asyncio.sleep(0.05)
        await erasing.rollback()
        made = await making
    assert await writer.key_of("acme", "alice") == made


async def test_new_generation_wraps_and_the_old_one_still_opens(writer: Counting, vault_database: Vault) -> None:
    made = await writer.make_key("acme", "alice")
    async with opened(vault_database.writer_url, Kek(2, {1: OLD, 2: NEW})) as rotated:
        assert await rotated.key_of("acme", "alice") == made
        await rotated.make_key("acme", "bob")
    generations = as_owner(vault_database, "SELECT subject, kek_generation FROM subject_keys ORDER BY subject")
    assert generations == [("alice", 1), ("bob", 2)]
    async with opened(vault_database.reader_url, Kek(2, {2: NEW})) as destroyed:
        with pytest.raises(Unreadable, match="Generation 1"):
            await destroyed.key_of("acme", "alice")


async def test_wrapped_keys_exchanged_between_people_do_not_open(writer: Counting, vault_database: Vault) -> None:
    await writer.make_key("acme", "alice")
    await writer.make_key("acme", "bob")
    stolen = "SELECT b.wrapped FROM subject_keys AS b WHERE b.subject = 'bob'"
    as_owner(vault_database, f"UPDATE subject_keys SET wrapped = ({stolen}) WHERE subject = 'alice'")  # noqa: S608 - a constant
    async with opened(vault_database.reader_url) as reader:
        with pytest.raises(Unreadable):
            await reader.key_of("acme", "alice")


async def test_unreachable_vault_is_a_503_not_an_absence(unused_tcp_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/vault"
    async with AsyncConnectionPool(url, min_size=0, max_size=1, open=False, timeout=0.2) as pool:
        vault = KeyVault(pool, KEK)
        for asking in (vault.key_of("acme", "alice"), vault.make_key("acme", "alice"), vault.check()):
            with pytest.raises(ServiceUnavailable, match="key vault"):
                await asking


async def test_vault_that_went_away_is_a_503(vault_database: Vault, cluster: Cluster) -> None:
    async with AsyncConnectionPool(vault_database.reader_url, min_size=1, open=False, timeout=0.3) as pool:
        await pool.wait()  # for longer than a question waits for a connection
        vault = KeyVault(pool, KEK)
        await vault.check()
        with psycopg.connect(cluster.server_url, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {vault_database.name} ALLOW_CONNECTIONS false".encode())
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'twinlog_vault_reader'"
            )
        with pytest.raises(ServiceUnavailable):
            await vault.key_of("acme", "alice")


async def test_restarted_server_is_not_noticed(writer: Counting, vault_database: Vault, cluster: Cluster) -> None:
    made = await writer.make_key("acme", "alice")
    async with opened(vault_database.reader_url) as reader:
        await asyncio.gather(*(reader.check() for _ in range(12)))
        with psycopg.connect(cluster.server_url) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'twinlog_vault_reader'"
            )
        assert await reader.key_of("acme", "alice") == made
