"""The query service as a process: how it starts, why it does not, how it stops."""

import httpx2
import psycopg
import pytest

from query_service.bootstrap import bootstrap
from query_service.infrastructure.schema import head
from query_service.settings import load
from shared_kernel.errors import StartupRefused
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, start
from tests.support.command_process import variables_of as command_variables_of

NOBODY_LISTENS = "postgresql://twinlog:hidden@127.0.0.1:9/twinlog"
MODULE = "query_service"


def variables_of(query: Database, vault: Vault, redis_url: str, **further: str) -> dict[str, str]:
    return {
        "TWINLOG_ENV": "development",
        "TWINLOG_QUERY_DATABASE_URL": query.reader_url,
        "TWINLOG_VAULT_DATABASE_URL": vault.reader_url,
        "TWINLOG_REDIS_URL": redis_url,
        "TWINLOG_COMMAND_URL": "http://127.0.0.1:9",
        "TWINLOG_QUERY_PORT": "0",
        **further,
    }


def test_service_is_ready_once_it_has_the_command_services_keys(
    command_database: Database, query_database: Database, vault_database: Vault, redis_url: str
) -> None:
    with command_process(command_variables_of(command_database, vault_database)) as command:
        variables = variables_of(query_database, vault_database, redis_url, TWINLOG_COMMAND_URL=command.url)
        with command_process(variables, MODULE) as running:
            assert httpx2.get(f"{running.url}/readyz").json() == {
                "status": "ready",
                "checks": {"database": "ok", "read-models": "ok", "signing-keys": "ok", "denials": "ok"},
            }
            assert httpx2.get(f"{running.url}/v1/me").status_code == 401
            assert "twinlog_read_model_lag_positions" in httpx2.get(f"{running.url}/metrics").text
            assert running.stop() == 0
    assert all("level" in line and line["service"] == "query" for line in running.log)


def test_without_the_command_service_it_starts_and_says_what_is_missing(
    query_database: Database, vault_database: Vault, redis_url: str
) -> None:
    with command_process(variables_of(query_database, vault_database, redis_url), MODULE) as running:
        answer = httpx2.get(f"{running.url}/readyz")
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "ok")
        assert "keys" in answer.json()["checks"]["signing-keys"]
        assert running.stop() == 0


def refusal_of(variables: dict[str, str]) -> tuple[int, str]:
    """The exit code, and the one sentence that was said."""
    said, complained = (process := start(variables, MODULE)).communicate(timeout=60)
    assert said == ""
    assert "Traceback" not in complained
    assert "hidden" not in complained
    assert complained.count("\n") == 1
    return process.returncode, complained


@pytest.mark.integration
def test_without_settings_it_says_what_is_missing() -> None:
    code, sentence = refusal_of({})
    assert code == 2
    assert "TWINLOG_QUERY_DATABASE_URL is missing" in sentence


def test_what_cannot_be_reached_is_named_without_its_password(
    query_database: Database, vault_database: Vault, redis_url: str
) -> None:
    nowhere = {
        "TWINLOG_QUERY_DATABASE_URL": (NOBODY_LISTENS, "The database at 127.0.0.1:9/twinlog cannot be reached"),
        "TWINLOG_VAULT_DATABASE_URL": (NOBODY_LISTENS, "The database at 127.0.0.1:9/twinlog cannot be reached"),
        "TWINLOG_REDIS_URL": ("redis://:hidden@127.0.0.1:9/0", "Redis at 127.0.0.1:9/0 cannot be reached"),
    }
    for name, (url, expected) in nowhere.items():
        code, sentence = refusal_of(variables_of(query_database, vault_database, redis_url, **{name: url}))
        assert code == 3
        assert expected in sentence


def test_schema_of_another_release_is_refused(
    query_database: Database, vault_database: Vault, redis_url: str, empty_database: str
) -> None:
    for name in ("TWINLOG_QUERY_DATABASE_URL", "TWINLOG_VAULT_DATABASE_URL"):
        code, sentence = refusal_of(variables_of(query_database, vault_database, redis_url, **{name: empty_database}))
        assert (code, "run `twinlog migrate`" in sentence) == (2, True), sentence


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_older_and_newer_schema_are_refused_with_both_revisions(
    query_database: Database, vault_database: Vault, redis_url: str, revision: str
) -> None:
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    code, sentence = refusal_of(variables_of(query_database, vault_database, redis_url))
    assert code == 2
    assert f"is at revision {revision}, this release needs {head()}; run `twinlog migrate`" in sentence


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TWINLOG_REDIS_URL", "", "TWINLOG_REDIS_URL is missing"),
        ("TWINLOG_COMMAND_URL", "127.0.0.1:8001", "TWINLOG_COMMAND_URL: must be an http"),
        ("TWINLOG_QUERY_DATABASE_URL", "mysql://hidden@db/x", "TWINLOG_QUERY_DATABASE_URL: must be a postgresql"),
        ("TWINLOG_KEK", "hidden", "TWINLOG_KEK"),
        ("TWINLOG_ENV", "production", "TWINLOG_SHARED_SECRET is missing"),
        ("TWINLOG_QUERY_PORT", "99999", "TWINLOG_QUERY_PORT"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    somewhere = Database("db", "postgresql://o@db/x", "postgresql://a@db/x", "postgresql://r@db/x")
    vault = Vault("db", "postgresql://o@db/x", "postgresql://w@db/x", "postgresql://r@db/x")
    for variable, given in variables_of(somewhere, vault, "redis://redis", **{name: value}).items():
        monkeypatch.setenv(variable, given)
    with pytest.raises(StartupRefused) as refused:
        bootstrap(load())
    assert expected in refused.value.detail
    assert "hidden" not in refused.value.detail
