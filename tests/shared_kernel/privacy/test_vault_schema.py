"""The vault's schema: roles that cannot undo anything, and one revision that both services insist on."""

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from command_service.infrastructure import vault_schema
from shared_kernel.errors import SchemaMismatch
from shared_kernel.privacy import vault as module
from tests.shared_kernel.privacy.vaults import Counting, as_owner, opened
from tests.support.cluster import Vault

FORBIDDEN_TO_ALL = (
    "UPDATE subject_keys SET created_at = now()",
    "DELETE FROM subject_keys",
    "TRUNCATE subject_keys",
    "INSERT INTO erased_subjects (tenant, subject) VALUES ('acme', 'alice')",
    "DELETE FROM erased_subjects",
    "UPDATE alembic_version SET version_num = 'x'",
    "CREATE TABLE public.mine (id integer)",
)
INSERT = (
    "INSERT INTO subject_keys (tenant, subject, key_id, wrapped, kek_generation)"
    " VALUES ('acme', 'eve', gen_random_uuid(), decode(repeat('00', 60), 'hex'), 1)"
)


@pytest.mark.parametrize("statement", FORBIDDEN_TO_ALL)
def test_no_service_may_change_or_delete_keys(vault_database: Vault, statement: str) -> None:
    for url in (vault_database.writer_url, vault_database.reader_url):
        with psycopg.connect(url) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.asvs("V13.2.2", "V13.3.2")
def test_only_the_command_service_may_add_a_key(vault_database: Vault) -> None:
    with psycopg.connect(vault_database.reader_url) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(INSERT.encode())
    with psycopg.connect(vault_database.writer_url) as connection:
        assert connection.execute(INSERT.encode()).rowcount == 1


async def test_vault_at_this_release_s_revision_is_accepted(writer: Counting, reader: Counting) -> None:
    await writer.check()
    await reader.check()


async def test_other_revision_is_refused_by_services_and_schema(vault_database: Vault, reader: Counting) -> None:
    as_owner(vault_database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="9999"):
        await reader.check()
    async with await psycopg.AsyncConnection.connect(vault_database.reader_url) as connection:
        with pytest.raises(SchemaMismatch, match="9999"):
            await vault_schema.check(connection)


async def test_empty_database_is_refused(empty_database: str) -> None:
    async with opened(empty_database) as vault:
        with pytest.raises(SchemaMismatch, match="is empty"):
            await vault.check()


def test_kernel_and_migrations_agree_on_the_revision() -> None:
    assert vault_schema.head() == module.REVISION


async def test_upgrade_is_repeatable_and_loses_nothing(writer: Counting, vault_database: Vault) -> None:
    made = await writer.make_key("acme", "alice")
    vault_schema.upgrade(vault_database.owner_url, "twinlog_vault_writer", "twinlog_vault_reader")
    async with opened(vault_database.reader_url) as reader:
        assert await reader.key_of("acme", "alice") == made
