"""Walling tenants off from each other while the release before is at work: it sees and writes what it did."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deploy.local.databases import QUERY
from query_service.infrastructure import schema
from shared_kernel import migrations
from tests.migrations.test_direction import step
from tests.support.cluster import Cluster

BEFORE = "0006"
RIGHTS = (
    "GRANT USAGE ON SCHEMA public, blue, green TO twinlog_query_app",
    "GRANT SELECT ON public.alembic_version TO twinlog_query_app",
    "GRANT SELECT, INSERT ON public.audit_events TO twinlog_query_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON public.parked_events TO twinlog_query_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA blue, green TO twinlog_query_app",
)
"""Of those that the release before gave, the ones that matter here."""

ADD = """
INSERT INTO blue.stream_owners (tenant, stream, owner) VALUES (%s, %s, gen_random_uuid())
ON CONFLICT (tenant, stream) DO UPDATE SET owner = excluded.owner
"""
COPY = """
COPY public.audit_events (position, epoch, tenant, tenant_seq, stream, version, topic, payload_format, payload,
    metadata, event_id, recorded_at, slot, leaf_version, leaf_hash) FROM STDIN
"""


@dataclass(frozen=True, slots=True)
class Release:
    """Code of the release before: it knows one role, says no tenant, and keeps its connection."""

    connection: psycopg.Connection
    folder: Path

    def work(self, number: int) -> int:
        """Write what concerns two tenants as the projector does; how many rows it sees afterwards."""
        for tenant in ("acme", "globex"):
            for _ in range(2):
                self.connection.execute(ADD.encode(), (tenant, f"s-{number}"))
        with self.connection.cursor().copy(COPY.encode()) as copy:
            for position, tenant in ((2 * number, "acme"), (2 * number + 1, "globex")):
                event = "0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c12"
                copy.write_row((position, 1, tenant, 1, f"s-{position}", 1, "t", 1, b"", b"", event, 1, 1, 1, b""))
        query = "SELECT (SELECT count(*) FROM blue.stream_owners) + (SELECT count(*) FROM public.audit_events) AS rows"
        (count,) = self.connection.execute(query.encode()).fetchone() or (0,)
        return int(count)


@pytest.fixture
def installed(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[str, str, Release]]:
    """A database as the release before left it, with that release at work: the URLs of owner and reader."""
    folder = tmp_path / "before"
    shutil.copytree(schema.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__", "0007_*", "0008_*"))
    with cluster.empty(QUERY) as name:
        owner_url = cluster.url(name, QUERY.owner)
        step(owner_url, schema.FOLDER, BEFORE)
        with psycopg.connect(owner_url) as owner:
            for right in RIGHTS:
                owner.execute(right.encode())
        app, reader = QUERY.users
        with psycopg.connect(cluster.url(name, app), autocommit=True) as connection:
            yield owner_url, cluster.url(name, reader), Release(connection, folder)


def test_the_release_before_goes_on_at_every_step(installed: tuple[str, str, Release]) -> None:
    owner_url, reader_url, before = installed
    assert before.work(1) == 4
    step(owner_url, schema.FOLDER, "0007")
    assert before.work(2) == 8, "between the revision and the rights that are given after it"
    schema.upgrade(owner_url, *QUERY.users)
    assert before.work(3) == 12
    migrations.check_blocking(before.connection, before.folder)
    with psycopg.connect(reader_url, autocommit=True) as reader, reader.transaction():
        reader.execute("SELECT set_config('twinlog.tenant', 'acme', true)")
        rows = reader.execute("SELECT tenant, count(*) FROM blue.stream_owners GROUP BY tenant").fetchall()
        assert rows == [("acme", 3)]


def test_walling_off_that_broke_off_is_taken_up_again(installed: tuple[str, str, Release]) -> None:
    owner_url, _, before = installed
    with psycopg.connect(owner_url) as busy:
        busy.execute("LOCK TABLE blue.policies IN ACCESS SHARE MODE")  # the time-out for locks ends the first attempt
        with pytest.raises(Exception, match="lock timeout"):
            step(owner_url, schema.FOLDER, "0007")
        assert before.work(1) == 4
    step(owner_url, schema.FOLDER, "0007")
    assert before.work(2) == 8
