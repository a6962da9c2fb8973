"""Revisions are numbered, go forward from an empty database to head, and say what becomes of earlier code."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine

from command_service.infrastructure import schema as command_schema
from command_service.infrastructure import vault_schema
from deploy.local.databases import COMMAND, QUERY, VAULT, Plan
from query_service.infrastructure import schema as query_schema
from shared_kernel import migrations
from shared_kernel.errors import SchemaMismatch
from tests.migrations.script import revisions
from tests.migrations.squawk import FOLDERS
from tests.support.cluster import Cluster, migrate

PLANS = dict(zip(FOLDERS, (COMMAND, VAULT, QUERY), strict=True))
CHECKS: dict[Path, Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]] = {
    command_schema.FOLDER: command_schema.check,
    vault_schema.FOLDER: vault_schema.check,
    query_schema.FOLDER: query_schema.check,
}
"""What each service asks of its databases before it starts."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_revisions_are_numbered_without_a_gap_and_promise_nothing_about_the_future(folder: Path) -> None:
    numbers = [script.revision for script in revisions(folder)]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for script in revisions(folder):
        assert getattr(script.module, migrations.WORKS_SINCE, script.revision) <= script.revision


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_every_revision_can_be_reached_from_empty_and_from_the_one_before(cluster: Cluster, folder: Path) -> None:
    """One by one, as an installation that took every release did; the result is that of one leap."""
    with cluster.empty() as steps, cluster.empty() as leap:
        urls = [cluster.url(name, COMMAND.owner) for name in (steps, leap)]
        for script in revisions(folder):
            step(urls[0], folder, script.revision)
        migrations.upgrade(urls[1], folder)
        assert described(urls[0]) == described(urls[1])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
async def test_schema_of_the_release_before_is_refused_by_the_check_at_start(cluster: Cluster, folder: Path) -> None:
    """In the services' own words, with what was found and what is needed; before the first release nothing was."""
    numbers = [script.revision for script in revisions(folder)]
    state = f"is at revision {numbers[-2]}" if len(numbers) > 1 else "is empty"
    with cluster.empty() as name:
        url = cluster.url(name, COMMAND.owner)
        for earlier in numbers[-2:-1]:
            step(url, folder, earlier)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            with pytest.raises(SchemaMismatch) as refused:
                await CHECKS[folder](connection)
            await connection.rollback()
            step(url, folder, numbers[-1])
            await CHECKS[folder](connection)
    assert refused.value.detail.startswith(f"The database schema {state}, this release needs {numbers[-1]};")


@pytest.mark.parametrize("plan", PLANS.values(), ids=lambda plan: plan.name)
def test_migrating_twice_changes_nothing(cluster: Cluster, plan: Plan) -> None:
    with cluster.copy_of(plan) as name:
        url = cluster.url(name, plan.owner)
        before = described(url)
        migrate(plan, url)
        assert described(url) == before


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_no_revision_goes_back(folder: Path) -> None:
    for script in revisions(folder):
        assert not hasattr(script.module, "downgrade")


def step(url: str, folder: Path, revision: str) -> None:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: migrations._connect(url, "public"), poolclass=NullPool
    )
    with engine.connect() as connection:
        config = migrations.configuration(folder)
        config.attributes.update(connection=connection, schema="public")
        command.upgrade(config, revision)


def described(url: str) -> list[tuple[str, ...]]:
    """Columns, indexes, constraints, functions, views and policies of everything that is ours."""
    with psycopg.connect(url) as connection:
        return connection.execute(_DESCRIPTION).fetchall()


_DESCRIPTION = """
SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname !~ '^(pg_|information_schema)'
UNION ALL SELECT schemaname || '.' || indexname, indexdef FROM pg_indexes
WHERE schemaname !~ '^(pg_|information_schema)'
UNION ALL SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL SELECT proname, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
UNION ALL SELECT schemaname || '.' || viewname, definition FROM pg_views
WHERE schemaname !~ '^(pg_|information_schema)'
UNION ALL SELECT schemaname || '.' || tablename || '.' || policyname, cmd || roles::text || qual FROM pg_policies
ORDER BY 1, 2
"""
