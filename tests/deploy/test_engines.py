"""Embedded engines: they start, recover, stop, and never outlive whoever started them."""

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local import lodging
from deploy.local.child import Identity
from deploy.local.engine import Engine
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey, EngineUnavailable
from tests.support.places import open_folder
from tests.support.processes import identities, interpreter_for, processes_of, start_python, user_id, wait_until

pytestmark = pytest.mark.integration

START_AND_WAIT = """
import json, sys, time
from pathlib import Path
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey
engines = [EmbeddedPostgres(Path(sys.argv[1]) / "postgres"), EmbeddedValkey(Path(sys.argv[1]) / "valkey")]
print(json.dumps({"urls": [engine.start() for engine in engines], "pids": [engine.pid for engine in engines]}))
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    engine = EmbeddedPostgres(folder / "postgres")
    yield engine
    engine.stop()


@pytest.fixture
def valkey(folder: Path) -> Iterator[EmbeddedValkey]:
    engine = EmbeddedValkey(folder / "valkey")
    yield engine
    engine.stop()


def write(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int CONSTRAINT kept_pk PRIMARY KEY)")
        connection.execute("INSERT INTO kept (number) VALUES (%s)", [number])


def written(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM kept ORDER BY number")]


def test_postgres_is_durable_unless_told_otherwise(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == ("on",)


def test_acknowledged_rows_survive_a_crash_of_the_server(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    write(url, 1)
    postgres.kill()
    assert postgres.pid == 0
    assert postgres.start() == url, "the port is taken again, so that clients find the server"
    write(url, 2)
    postgres.stop()
    assert written(postgres.start()) == [1, 2]


def test_a_pid_file_that_names_an_innocent_process_does_not_hinder_the_start(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.kill()
    pid_file = lodging.recorded_home(postgres.folder) / "data" / "postmaster.pid"
    pid_file.write_text("\n".join([str(os.getppid()), *pid_file.read_text().splitlines()[1:]]) + "\n")
    assert postgres.start()


def test_half_made_data_are_made_again(postgres: EmbeddedPostgres) -> None:
    unfinished = postgres.folder / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    postgres.folder.chmod(0o711)
    write(postgres.start(), 1)
    assert not unfinished.exists()


def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    postgres.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="postgres", password="wrong")
    valkey.start()
    with redis.Redis(port=valkey.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_valkey_keeps_what_it_was_told(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.start()) as client:
        client.xadd("stream", {"field": "value"}, id="1-1")
    valkey.kill()
    with redis.Redis.from_url(valkey.start()) as client:
        assert client.xlen("stream") == 1
        client.set("key", "value")
    valkey.stop()
    with redis.Redis.from_url(valkey.start()) as client:
        assert client.get("key") == b"value"


def test_passwords_stay_out_of_command_lines_and_readable_files(
    folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    for engine in (postgres, valkey):
        engine.start()
        password = (engine.folder / "password").read_text()
        assert not any(password in line for line in processes_of(folder).values())
        for file in (path for path in engine.folder.rglob("*") if path.is_file()):
            mode = stat.S_IMODE(file.stat().st_mode)
            assert mode & 0o077 == 0 or password.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("identity", identities(), ids=user_id)
def test_no_engine_outlives_a_killed_parent(folder: Path, identity: Identity | None) -> None:
    lodging.give(folder, identity)
    arguments = ["-c", START_AND_WAIT, str(folder)]
    with start_python(arguments, identity, interpreter_for(identity) or "") as parent:
        assert parent.stdout is not None
        started = json.loads(parent.stdout.readline() or parent.communicate()[1])
        write(started["urls"][0], 1)
        assert len(processes_of(folder)) > 2
        parent.kill()
    wait_until(lambda: not processes_of(folder), "every engine and guard is gone")
    with start_python(arguments, identity, interpreter_for(identity) or "") as parent:
        assert parent.stdout is not None
        assert written(json.loads(parent.stdout.readline())["urls"][0]) == [1]
        parent.kill()
    wait_until(lambda: not processes_of(folder), "every engine and guard is gone")


@pytest.mark.parametrize("delay", [0.05, 0.15, 0.25, 0.35, 0.5, 0.7])
def test_no_engine_outlives_a_parent_killed_while_it_starts(folder: Path, delay: float) -> None:
    with start_python(["-c", START_AND_WAIT, str(folder)]) as parent:
        time.sleep(delay)
        parent.kill()
    wait_until(lambda: not processes_of(folder), "every engine and guard is gone")
    engine = EmbeddedPostgres(folder / "postgres")
    write(engine.start(), 1)
    engine.stop()


def test_an_engine_whose_guard_is_killed_goes_too(folder: Path, postgres: EmbeddedPostgres) -> None:
    postgres.start()
    assert postgres._child is not None
    postgres._child._guard.send_signal(signal.SIGKILL)
    wait_until(lambda: not processes_of(folder), "the engine is gone with its guard")
    assert postgres.start()


def test_a_second_server_waits_for_the_first_to_be_gone(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.start()
    monkeypatch.setattr("deploy.local.engine.LOCKED_FOR_AT_MOST", 0.2)
    with pytest.raises(EngineUnavailable, match="still works in"):
        EmbeddedPostgres(postgres.folder).start()
    write(url, 1)


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineUnavailable, match=r"PostgreSQL cannot use the folder .*file/postgres: Not a directory\."):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


def test_a_server_that_cannot_start_shows_its_last_words(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (lodging.recorded_home(postgres.folder) / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EngineUnavailable, match=r"PostgreSQL did not start; the last line of .* is: .*incompatible"):
        postgres.start()


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_an_engine_runs_for_a_folder_that_others_cannot_enter(tmp_path: Path, kind: type[Engine]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    engine = kind(closed / "engine")
    owner = lodging.NOBODY.uid if os.geteuid() == 0 else os.geteuid()
    try:
        engine.start()
        home = lodging.recorded_home(engine.folder)
        data = (home / "data").stat()
        assert (data.st_uid, stat.S_IMODE(data.st_mode)) == (owner, 0o700)
        assert (home == engine.folder) == (os.geteuid() != 0), "as root it lives where another user can enter"
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "the permissions of an existing folder are its owner's"
        engine.stop()
        engine.start()
        assert lodging.recorded_home(engine.folder) == home
    finally:
        engine.stop()
        lodging.remove(engine.folder)
    assert not home.exists()
