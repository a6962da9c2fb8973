"""Who else is measured: the library as it comes, a plain INSERT, COPY, Message DB, and Emmett in its own language."""

import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import uuid_utils
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.benchmarks.contestants import (
    TOPIC,
    Load,
    Measured,
    Once,
    events_only,
    everything,
    in_tasks,
    persistence_module,
    read_by_id,
    through_recorder,
    without_leaf,
)

PACKAGES = Path(__file__).parent / "peers"
"""Where npm puts what the lock file names."""

NPM_SECONDS = 60

MESSAGE_DB = PACKAGES / "node_modules" / "@eventide" / "message-db" / "database"
BLOCK = 500
"""Events in one COPY."""

PLAIN = """
CREATE TABLE IF NOT EXISTS plain (
    position bigserial PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, topic text NOT NULL,
    payload bytea NOT NULL, metadata bytea NOT NULL, event_id uuid NOT NULL UNIQUE,
    UNIQUE (stream, version))
"""
_INSERT = """
INSERT INTO plain (stream, version, topic, payload, metadata, event_id) VALUES (%s, %s, %s, %s, %s, %s)
"""
_COPY = "COPY plain (stream, version, topic, payload, metadata, event_id) FROM STDIN (FORMAT binary)"
_WRITE = "SELECT message_store.write_message(%s, %s, %s, %s, NULL, -1) AS position"


def library(load: Load) -> Measured:
    """The library's own recorder in its safe (default) mode: a lock on the table for every append."""
    return through_recorder("eventsourcing.postgres", load)


def library_unsafe(load: Load) -> Measured:
    """Its fast mode, without a lock: readers that follow it by position lose events."""
    return through_recorder("eventsourcing.postgres", load, POSTGRES_ENABLE_DB_FUNCTIONS="y")


def plain_insert(load: Load) -> Measured:
    """One INSERT per transaction, a connection per writer: no order, no checks but two unique keys."""
    payload = load.payload

    def writer(connection: psycopg.AsyncConnection[Any]) -> Once:
        async def once() -> None:
            event_id = uuid_utils.uuid7()
            row = (f"resources-{event_id}", 1, TOPIC, payload, b"{}", UUID(int=event_id.int))
            await connection.execute(_INSERT, row, prepare=True)

        return once

    return uvloop.run(_over_connections(load, PLAIN, writer))


def copy(load: Load) -> Measured:
    """The same table filled by COPY, 500 events a transaction: what no store of single appends can reach."""
    payload = load.payload

    def writer(connection: psycopg.AsyncConnection[Any]) -> Once:
        async def once() -> None:
            async with connection.cursor() as cursor, cursor.copy(_COPY) as lines:
                lines.set_types(["text", "int8", "text", "bytea", "bytea", "uuid"])
                for _ in range(BLOCK):
                    event_id = uuid_utils.uuid7()
                    await lines.write_row((f"resources-{event_id}", 1, TOPIC, payload, b"{}", UUID(int=event_id.int)))

        return once

    return uvloop.run(_over_connections(load, PLAIN, writer, each=BLOCK))


def message_db(load: Load) -> Measured:
    """Message DB's `write_message`, from its npm package, called with the same driver."""
    install_message_db(load.url)
    payload = load.payload.decode()

    def writer(connection: psycopg.AsyncConnection[Any]) -> Once:
        async def once() -> None:
            event_id = str(uuid4())
            row = (event_id, f"resources-{event_id}", TOPIC, payload)
            await connection.execute(_WRITE, row, prepare=True)

        return once

    searching = Load(make_conninfo(load.url, options="-c search_path=message_store,public"), load.writers, load.seconds)
    return uvloop.run(_over_connections(searching, None, writer))


def install_message_db(url: str) -> None:
    """As its own script does, once."""
    searching = make_conninfo(url, options="-c search_path=message_store,public")
    with psycopg.connect(searching, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('message_store.messages') AS there").fetchone() != (None,):
            return
        hashing = [MESSAGE_DB / "functions" / name for name in ("hash-64.sql", "category.sql")]
        rest = sorted({*(MESSAGE_DB / "functions").glob("*.sql")} - set(hashing))
        first = [MESSAGE_DB / part for part in ("schema/message-store.sql", "types/message.sql", "tables/messages.sql")]
        for path in (*first, *hashing, *rest, *sorted((MESSAGE_DB / "indexes").glob("*.sql"))):
            connection.execute(path.read_bytes())


def emmett(load: Load) -> Measured:
    """Emmett's PostgreSQL store in Node, with its default pool."""
    parts = conninfo_to_dict(load.url)
    url = f"postgresql://{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    words = [url, str(load.writers), str(load.seconds), str(load.size)]
    done = subprocess.run(["node", "emmett.mjs", *words], cwd=PACKAGES, check=True, stdout=subprocess.PIPE, timeout=120)
    found = json.loads(done.stdout)
    return Measured(found["seconds"], found["latencies"])


async def _over_connections(
    load: Load, prepare: LiteralString | None, writer: Callable[[psycopg.AsyncConnection[Any]], Once], each: int = 1
) -> Measured:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(load.url, autocommit=True))
            for _ in range(load.writers)
        ]
        if prepare is not None:
            await connections[0].execute(prepare)
        return await in_tasks([writer(connection) for connection in connections], load.seconds, each)


def why_no_packages() -> str:
    """Empty once npm has installed what the lock file names."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "there is no Node here"
    if MESSAGE_DB.exists():
        return ""
    try:
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-progress"],
            cwd=PACKAGES,
            capture_output=True,
            check=False,
            timeout=NPM_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"npm had not installed it after {NPM_SECONDS} seconds"
    return "" if done.returncode == 0 else "npm could not install it"


FROM_NPM = {"message-db", "emmett"}

CONTESTANTS: dict[str, Callable[[Load], Measured]] = {
    "library": library,
    "library-unsafe": library_unsafe,
    "plain-insert": plain_insert,
    "copy": copy,
    "message-db": message_db,
    "emmett": emmett,
    "persistence-module": persistence_module,
    "events-only": events_only,
    "everything": everything,
    "without-leaf": without_leaf,
    "read-by-id": read_by_id,
}
