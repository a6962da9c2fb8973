"""The command service as a process: how it starts, why it does not, how it stops."""

import httpx2
import psycopg
import pytest

from command_service.infrastructure.schema import head
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, start, variables_of

NOBODY_LISTENS = "postgresql://twinlog:hidden@127.0.0.1:9/twinlog"


def test_service_starts_says_where_and_stops_at_sigterm(command_database: Database, vault_database: Vault) -> None:
    with command_process(variables_of(command_database, vault_database)) as running:
        assert httpx2.get(f"{running.url}/readyz").json() == {
            "status": "ready",
            "checks": {"database": "ok", "vault": "ok", "denials": "ok", "token keys": "ok"},
        }
        assert httpx2.get(f"{running.url}/healthz").status_code == 200
        metrics = httpx2.get(f"{running.url}/metrics").text
        for name in ("http_requests_total", "appends_waiting", "log_clock_behind_seconds"):
            assert f"twinlog_{name}" in metrics
        assert running.stop() == 0
    assert all("level" in line and line["service"] == "command" for line in running.log)


def refusal_of(variables: dict[str, str]) -> tuple[int, str]:
    """The exit code, and the one sentence that was said."""
    process = start(variables)
    said, complained = process.communicate(timeout=60)
    assert said == ""
    assert "Traceback" not in complained
    assert "hidden" not in complained
    return process.returncode, complained


@pytest.mark.integration
def test_without_settings_it_says_what_is_missing() -> None:
    code, sentence = refusal_of({})
    assert (code, sentence.count("\n")) == (2, 1)
    assert "TWINLOG_COMMAND_DATABASE_URL is missing" in sentence


def test_unreachable_databases_are_named_without_their_password(
    command_database: Database, vault_database: Vault
) -> None:
    for name in ("TWINLOG_COMMAND_DATABASE_URL", "TWINLOG_VAULT_DATABASE_URL"):
        code, sentence = refusal_of(variables_of(command_database, vault_database, **{name: NOBODY_LISTENS}))
        assert (code, sentence.count("\n")) == (3, 1)
        assert "The database at 127.0.0.1:9/twinlog cannot be reached" in sentence


def test_schema_of_another_release_is_refused(
    command_database: Database, vault_database: Vault, empty_database: str
) -> None:
    for name in ("TWINLOG_COMMAND_DATABASE_URL", "TWINLOG_VAULT_DATABASE_URL"):
        code, sentence = refusal_of(variables_of(command_database, vault_database, **{name: empty_database}))
        assert (code, sentence.count("\n")) == (2, 1)
        assert "run `twinlog migrate`" in sentence


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_older_and_newer_schema_are_refused_with_both_revisions(
    command_database: Database, vault_database: Vault, revision: str
) -> None:
    with psycopg.connect(command_database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    code, sentence = refusal_of(variables_of(command_database, vault_database))
    assert (code, sentence.count("\n")) == (2, 1)
    assert f"is at revision {revision}, this release needs {head()}; run `twinlog migrate`" in sentence


@pytest.mark.asvs("V13.2.3")
def test_weak_secret_is_refused_outside_development(command_database: Database, vault_database: Vault) -> None:
    production = {"TWINLOG_ENV": "production", "TWINLOG_COMMAND_SECRET": "weak"}
    code, sentence = refusal_of(variables_of(command_database, vault_database, **production))
    assert (code, sentence.count("\n")) == (2, 1)
    assert "TWINLOG_COMMAND_SECRET" in sentence


def test_unusable_token_key_is_refused(command_database: Database, vault_database: Vault) -> None:
    for path in ("/nowhere/token_key.pem", __file__):
        variables = variables_of(command_database, vault_database, TWINLOG_TOKEN_KEY_FILE=path)
        code, sentence = refusal_of(variables)
        assert (code, sentence.count("\n")) == (2, 1)


def test_taken_port_is_refused(command_database: Database, vault_database: Vault) -> None:
    variables = variables_of(command_database, vault_database)
    with command_process(variables) as running:
        port = running.url.rsplit(":", 1)[1]
        code, sentence = refusal_of({**variables, "TWINLOG_COMMAND_PORT": port})
    assert code == 2
    assert f"Port {port}" in sentence
