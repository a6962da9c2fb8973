"""What runs once before a set of containers serves: secrets for each reader alone, then roles, databases, schema."""

import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from deploy.containers import __main__ as steps
from deploy.containers.health import is_ready
from deploy.containers.prepare import prepare
from deploy.containers.secrets import SUPERUSER, make_secrets
from deploy.local.engines import EmbeddedPostgres
from deploy.local.environment import of_files
from deploy.local.ports import free_port
from shared_kernel.auth.tokens import SigningKey
from shared_kernel.process import Unreachable
from tests.support.places import open_folder

READERS = ("command", "query", "reader", "migrate", "postgres", "redis")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The mount points as the image has them."""
    for reader in READERS:
        (tmp_path / reader).mkdir()
    return tmp_path


def contents(base: Path) -> dict[str, str]:
    return {str(path.relative_to(base)): path.read_text() for path in base.rglob("*") if path.is_file()}


def test_secrets_are_made_once(base: Path) -> None:
    assert make_secrets(base)
    first = contents(base)
    assert make_secrets(base) == []
    assert contents(base) == first


def test_a_secret_that_a_later_release_needs_is_added(base: Path) -> None:
    make_secrets(base)
    before = contents(base)
    (base / "query" / "twinlog_kek").unlink()
    assert make_secrets(base) == ["query/twinlog_kek"]
    assert contents(base) == before


@pytest.mark.asvs("V13.3.2")
def test_each_reader_sees_its_own_secrets_only(base: Path) -> None:
    make_secrets(base)
    command, query = of_files(base / "command"), of_files(base / "query")
    assert set(command) - set(query) == {"COMMAND_SECRET", "COMMAND_DATABASE_URL"}
    assert command["KEK"] == query["KEK"]
    assert "twinlog_vault_writer" in command["VAULT_DATABASE_URL"]
    assert "twinlog_vault_reader" in query["VAULT_DATABASE_URL"]
    assert "twinlog_query_reader" in of_files(base / "reader")["QUERY_DATABASE_URL"]
    assert "twinlog_query_app" not in str(contents(base / "reader"))
    assert SigningKey.from_pem((base / "command" / "token_key.pem").read_bytes()).kid
    assert set(contents(base / "postgres")) == {"password"}
    assert f"requirepass {(base / 'redis' / 'password').read_text()}" in (base / "redis" / "redis.conf").read_text()


def test_only_the_volumes_of_the_engines_hold_files_that_others_may_read(base: Path) -> None:
    make_secrets(base)
    for path in base.rglob("*"):
        if path.is_file():
            expected = 0o444 if path.parent.name in {"postgres", "redis"} else 0o400
            assert stat.S_IMODE(path.stat().st_mode) == expected, path


@pytest.fixture
def superuser() -> Iterator[tuple[str, str]]:
    """A server that nobody has prepared: its URL without the password, and the password."""
    with open_folder() as folder:
        engine = EmbeddedPostgres(folder / "postgres", durable=False)
        url = engine.start()
        place = url.rpartition("@")[2].partition("/")[0]
        yield f"postgresql://postgres@{place}", str(psycopg.conninfo.conninfo_to_dict(url)["password"])
        engine.stop()


def test_databases_are_prepared_and_prepared_again(base: Path, superuser: tuple[str, str]) -> None:
    server, password = superuser
    (base / "migrate" / f"password.{SUPERUSER}").write_text(password)
    make_secrets(base, server)
    assert prepare(base, server) == prepare(base, server) == ["command", "query", "vault"]
    with psycopg.connect(of_files(base / "command")["COMMAND_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
    with psycopg.connect(of_files(base / "reader")["QUERY_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM public.tenant_events").fetchone() == (0,)


def test_a_server_that_is_away_is_said_to_be(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_secrets(base)
    with pytest.raises(Unreachable, match="PostgreSQL cannot be reached"):
        prepare(base, f"postgresql://postgres@127.0.0.1:{free_port()}")


def test_steps_end_with_the_documented_codes(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "BASE", base)
    assert steps.main(["secrets"]) == 0
    assert "secret files made" in capsys.readouterr().out
    assert steps.main(["something"]) == 2
    assert "deploy.containers" in capsys.readouterr().err
    assert steps.main(["migrate"]) == 3  # the name `postgres` means nothing outside the containers
    assert len(capsys.readouterr().err.splitlines()) == 1


class Answers(BaseHTTPRequestHandler):
    """Says what the class was told to say."""

    status = 200

    def do_GET(self) -> None:  # the name is the protocol's
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_health_is_what_readyz_says(status: int, *, ready: bool) -> None:
    answers = type("Answering", (Answers,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        assert is_ready(server.server_port) is ready
        thread.join()


def test_nobody_there_is_not_healthy() -> None:
    assert not is_ready(free_port())
