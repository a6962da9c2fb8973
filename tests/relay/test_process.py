"""The relay as a process: how it starts, what it refuses, what it answers, how it stops."""

import httpx2
import psycopg
import pytest

from command_service.infrastructure.schema import head
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, start, variables_of
from tests.support.processes import wait_until

MODULE = "command_service.relay"


@pytest.fixture
def variables(command_database: Database, vault_database: Vault, redis_url: str) -> dict[str, str]:
    return variables_of(
        command_database, vault_database, TWINLOG_REDIS_URL=redis_url, TWINLOG_RELAY_PORT="0", TWINLOG_COMMAND_PORT="1"
    )


def refused(variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and everything said by a relay that does not start."""
    with start(variables, MODULE) as process:
        _, said = process.communicate(timeout=30)
        return process.returncode, said


def test_relay_serves_health_readiness_and_metrics_and_stops_gracefully(variables: dict[str, str]) -> None:
    with command_process(variables, MODULE) as relay:
        assert httpx2.get(f"{relay.url}/healthz").status_code == 200
        wait_until(lambda: httpx2.get(f"{relay.url}/readyz").status_code == 200, "the relay is ready")
        wait_until(lambda: "twinlog_relay_leader 1.0" in httpx2.get(f"{relay.url}/metrics").text, "the relay leads")
        assert relay.stop() == 0
    assert all(line["service"] == "relay" for line in relay.log)


def test_unreachable_redis_is_one_sentence_and_exit_code_3(variables: dict[str, str]) -> None:
    code, said = refused(variables | {"TWINLOG_REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (code, said) == (3, "Redis at 127.0.0.1:1/0 cannot be reached: ConnectionError.\n")


def test_unreachable_database_is_one_sentence_and_exit_code_3(variables: dict[str, str]) -> None:
    code, said = refused(variables | {"TWINLOG_COMMAND_DATABASE_URL": "postgresql://x:secret@127.0.0.1:1/log"})
    assert code == 3
    assert said.startswith("The database at 127.0.0.1:1/log cannot be reached")
    assert "secret" not in said
    assert len(said.splitlines()) == 1


def test_missing_redis_url_is_one_sentence_and_exit_code_2(variables: dict[str, str]) -> None:
    code, said = refused(variables | {"TWINLOG_REDIS_URL": ""})
    assert (code, said) == (2, "The settings cannot be used: TWINLOG_REDIS_URL is missing.\n")


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_schema_of_another_release_is_one_sentence_and_exit_code_2(
    variables: dict[str, str], command_database: Database, revision: str
) -> None:
    with psycopg.connect(command_database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    code, said = refused(variables)
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"is at revision {revision}, this release needs {head()}; run `twinlog migrate`" in said
