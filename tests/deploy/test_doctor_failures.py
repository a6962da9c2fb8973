"""What the doctor could not look at is never called fine, and what stands beside the point is not blamed."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.doctor import delivery, keys
from deploy.doctor.connecting import Connection, connect
from deploy.doctor.examination import _connect, _transactions, examine
from deploy.doctor.finding import State
from deploy.doctor.surroundings import PROCESSES, Surroundings
from deploy.doctor.transactions import Limits, sessions, transactions
from deploy.local.environment import Environments
from deploy.local.ports import LOOPBACK, free_port
from shared_kernel.auth.tokens import SigningKey
from shared_kernel.messaging.mark import Mark
from tests.support.cluster import Cluster, Database, Vault
from tests.support.processes import wait_until

WORKERS = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'parallel worker' AND clock_timestamp() - xact_start > interval '0.4 s'
"""


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """A web server that answers everything with this."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(body)

    with http.server.HTTPServer((LOOPBACK, 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()


def test_mark_of_fewer_partitions_is_found(command: Connection, query: Connection, query_database: Database) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("INSERT INTO public.projections (name, version) VALUES ('resources', 1)")
        owner.execute(
            "INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)"
            " VALUES ('resources', 'blue', 5, 0, 1)"
        )
    log = delivery.read_log(command)
    foreign = delivery.projector_lag(Mark(1, 9, (9, 8), log.now), log, query, command)
    assert foreign.state is State.FOUND
    assert foreign.says == f"The log has {log.partitions} partitions, the mark in Redis 2, a read model 6."


def test_checkpoints_of_more_partitions_are_found(
    command: Connection, query: Connection, query_database: Database
) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("INSERT INTO public.projections (name, version) VALUES ('resources', 1)")
        owner.execute(
            "INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)"
            " VALUES ('resources', 'blue', 63, 0, 1)"
        )
    log = delivery.read_log(command)
    foreign = delivery.projector_lag(Mark(1, 0, (0,) * log.partitions, log.now), log, query, command)
    assert (foreign.state, "a read model 64" in foreign.says) == (State.FOUND, True)


@pytest.fixture
def around(command_database: Database, query_database: Database, vault_database: Vault, redis_url: str) -> Surroundings:
    """A pair of which only the processes are missing."""
    command = {"COMMAND_DATABASE_URL": command_database.app_url, "VAULT_DATABASE_URL": vault_database.writer_url}
    query = {"QUERY_DATABASE_URL": query_database.app_url, "VAULT_DATABASE_URL": vault_database.reader_url}
    settings = Environments(command | {"REDIS_URL": redis_url}, query | {"REDIS_URL": redis_url}, {})
    return Surroundings(settings, dict.fromkeys(PROCESSES, f"http://127.0.0.1:{free_port()}"), {})


@pytest.mark.parametrize(
    ("database", "statement", "check"),
    [
        ("query", "DROP TABLE public.parked_events", "parked"),
        ("query", "DROP TABLE public.checkpoints CASCADE", "lag"),
        ("command", "DELETE FROM installation", "lag"),
        ("vault", "DROP TABLE subject_keys", "keys.vault"),
    ],
)
def test_look_that_fails_is_found_and_not_left_out(
    request: pytest.FixtureRequest, around: Surroundings, *, database: str, statement: str, check: str
) -> None:
    with psycopg.connect(request.getfixturevalue(f"{database}_database").owner_url) as owner:
        owner.execute(statement.encode())
    seen = {each.name: each for each in examine(around)}
    assert seen[check].state is State.FOUND
    assert "twinlog migrate" in seen[check].advice


def test_table_that_somebody_holds_is_no_table_that_is_fine(around: Surroundings, query_database: Database) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("LOCK TABLE public.parked_events IN ACCESS EXCLUSIVE MODE")
        seen = {each.name: each for each in examine(around)}
    assert seen["parked"].state is State.UNREACHABLE
    assert "lock" in seen["parked"].says


def test_sessions_of_a_server_that_is_away_are_not_called_short() -> None:
    nothing = Surroundings(Environments({}, {}, {}), {"relay": f"http://127.0.0.1:{free_port()}"}, {})
    seen = {each.name: each for each in examine(nothing)}
    assert seen["transactions"].state is State.SKIPPED


def test_sessions_that_cannot_be_asked_for_are_unreachable(around: Surroundings, query_database: Database) -> None:
    """As in a server that ends its connections between two looks."""
    with ExitStack() as stack:
        connected = _connect(around, stack)
        for connection in connected.ways.values():
            connection.close()
        check = _transactions(connected, Limits())
    assert check.state is State.UNREACHABLE
    assert "connection is closed" in check.says


def test_worker_of_a_query_is_not_blamed_for_its_leader(cluster: Cluster, command_database: Database) -> None:
    """What other processes of the server do, such as vacuuming, takes the time that it takes."""
    base, _, _ = cluster.server_url.rpartition("/")
    url = f"{base}/{command_database.name}"
    with psycopg.connect(url, autocommit=True) as leader, connect(url) as connection:
        pid = leader.info.backend_pid
        leader.execute("SET debug_parallel_query = on")
        sleeping = threading.Thread(target=leader.execute, args=["SELECT pg_sleep(2)"])
        sleeping.start()
        wait_until(lambda: connection.execute(WORKERS).fetchone(), "a worker has been at work for a while")
        check = transactions(sessions(connection, url), Limits(transaction=0.3))
        sleeping.join(20)
    assert [each["pid"] for each in check.facts["long"]] == [pid]


def test_command_api_that_publishes_no_keys_is_found(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(SigningKey.generate_pem())
    settings = Environments({"TOKEN_KEY_FILE": str(tmp_path / "key.pem")}, {}, {})
    with serving(b'{"detail": "not here"}') as url:
        check = keys.token(Surroundings(settings, {"command": url}, {}))
    assert check.state is State.FOUND
    assert "publishes no keys" in check.says
