"""A durable PostgreSQL for one measurement, and what its figures depend on."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from deploy.local import lodging
from deploy.local.engines import EmbeddedPostgres

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size")
PACKAGES = ("eventsourcing", "psycopg", "uvloop")


@contextmanager
def postgres() -> Iterator[str]:
    """Yields the superuser's URL."""
    folder = Path(tempfile.mkdtemp(prefix="twinlog-bench-"))
    folder.chmod(0o711)  # the engine may run as an unprivileged user
    engine = EmbeddedPostgres(folder / "engine", durable=True)
    try:
        yield engine.start()
    finally:
        engine.stop()
        lodging.remove(folder / "engine")
        folder.rmdir()


def about(url: str) -> dict[str, Any]:
    with psycopg.connect(url) as connection:
        settings = {name: connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in SETTINGS}
        server = connection.info.server_version
    return {
        "versions": {"postgresql": server} | {name: version(name) for name in PACKAGES},
        "settings": {name: value[0] for name, value in settings.items() if value},
    }


def database(url: str, name: str) -> str:
    """A database of that name, made when it is missing; answers its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 AS there FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        connection.execute("CHECKPOINT")  # nobody pays for what somebody else wrote
    return psycopg.conninfo.make_conninfo(url, dbname=name)
