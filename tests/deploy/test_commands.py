"""What `twinlog` says when it cannot do what it is told: one sentence, the right exit code, never a traceback."""

import json
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from deploy.cli import application
from deploy.local.environment import OWNER_URLS
from deploy.local.ports import free_port
from tests.support.cluster import Cluster, Database, Vault
from tests.support.stack import Stack, data_folder, twinlog
from tests.support.valkey_cluster import running_valkey_cluster

NOWHERE = f"postgresql://somebody:hidden@127.0.0.1:{free_port()}/nothing"


def one_sentence(text: str) -> str:
    """The only line, which must read like one."""
    lines = text.splitlines()
    assert len(lines) == 1, text
    assert lines[0].endswith((".", "`.")) or ":" in lines[0], text
    assert "hidden" not in text, "no password is shown"
    return lines[0]


def named(command: Database, query: Database, vault: Vault) -> dict[str, str]:
    """Variables that leave nothing to an embedded PostgreSQL."""
    return {
        "TWINLOG_COMMAND_DATABASE_URL": command.app_url,
        "TWINLOG_COMMAND_OWNER_URL": command.owner_url,
        "TWINLOG_QUERY_DATABASE_URL": query.app_url,
        "TWINLOG_QUERY_OWNER_URL": query.owner_url,
        "TWINLOG_VAULT_DATABASE_URL": vault.writer_url,
        "TWINLOG_VAULT_OWNER_URL": vault.owner_url,
    }


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for words in (["up"], ["up", "--detach"]):
        refused = twinlog(*words, "--data", str(tmp_path / "file" / "data"))
        assert refused.returncode == 2
        assert one_sentence(refused.stderr).endswith("file/data cannot be written: Not a directory.")


def test_an_unreachable_redis_is_named() -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    with data_folder() as data:
        refused = twinlog("up", "--data", str(data), "--json", "--detach", variables={"TWINLOG_REDIS_URL": url})
    assert refused.returncode == 3
    assert refused.stdout == ""
    assert one_sentence(refused.stderr).startswith("Redis at 127.0.0.1:")


def test_a_redis_url_that_is_none_is_refused() -> None:
    variables = {"TWINLOG_REDIS_URL": "redis://:hidden@h:port/0"}
    variables |= {f"TWINLOG_{name}_DATABASE_URL": NOWHERE for name in ("COMMAND", "QUERY", "VAULT")}
    with data_folder() as data:
        refused = twinlog("up", "--data", str(data), variables=variables)
    assert (refused.returncode, "h:port/0" in one_sentence(refused.stderr)) == (2, True)


def test_a_cluster_is_taken_for_a_redis() -> None:
    """It is asked before the database, so a refusal for that says that the cluster was good enough."""
    variables = {f"TWINLOG_{name}_DATABASE_URL": NOWHERE for name in ("COMMAND", "QUERY", "VAULT")}
    variables |= {"TWINLOG_COMMAND_OWNER_URL": NOWHERE}
    away = f"redis+cluster://:hidden@127.0.0.1:{free_port()}"
    with running_valkey_cluster() as cluster, data_folder() as data:
        said = [
            one_sentence(twinlog("up", "--data", str(data), variables={**variables, "TWINLOG_REDIS_URL": url}).stderr)
            for url in (cluster, away)
        ]
    assert said[0].startswith("The database at ")
    assert said[1].startswith("Redis at 127.0.0.1:")


def test_an_unreachable_database_is_named() -> None:
    variables = {"TWINLOG_QUERY_DATABASE_URL": NOWHERE, "TWINLOG_QUERY_OWNER_URL": NOWHERE}
    with data_folder() as data:
        refused = twinlog("up", "--data", str(data), variables=variables)
    assert refused.returncode == 3
    assert "127.0.0.1" in one_sentence(refused.stderr)
    assert "cannot be reached" in refused.stderr


def test_a_database_of_a_newer_release_is_refused(
    command_database: Database, query_database: Database, vault_database: Vault
) -> None:
    with psycopg.connect(command_database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    variables = named(command_database, query_database, vault_database)
    with data_folder() as data:
        for words in (["up"], ["migrate"]):
            refused = twinlog(*words, "--data", str(data), variables=variables)
            assert refused.returncode == 2
            assert "is at revision 9999, this release needs" in one_sentence(refused.stderr)


def test_migrate_brings_named_databases_to_head(cluster: Cluster, empty_database: str) -> None:
    with data_folder() as data:
        done = twinlog(
            "migrate", "--data", str(data), "--json", variables={"TWINLOG_COMMAND_OWNER_URL": empty_database}
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"ok": True, "migrated": ["command"]}
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_migrate_without_anything_to_migrate_says_what_is_missing(tmp_path: Path) -> None:
    refused = twinlog("migrate", "--data", str(tmp_path), "--json")
    assert refused.returncode == 3
    answer = json.loads(refused.stdout)
    assert answer["ok"] is False
    assert all(name in answer["detail"] for name in OWNER_URLS)


def test_migrating_a_running_stack_changes_nothing(stack: Stack) -> None:
    done = stack.twinlog("migrate", "--json")
    assert json.loads(done.stdout) == {"ok": True, "migrated": ["command", "query", "vault"]}


def test_a_command_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    refused = twinlog("tenants", "create", "acme", "--data", str(tmp_path))
    assert refused.returncode == 3
    assert one_sentence(refused.stderr) == f"No stack is running in {tmp_path}; start one with `twinlog up`."


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("TWINLOG_COMMAND_PORT", "many", "TWINLOG_COMMAND_PORT must be a number up to 65535, not many."),
        ("TWINLOG_HOST", "192.0.2.1", "Nothing can listen on 192.0.2.1: Cannot assign requested address"),
        ("TWINLOG_KEK", "weak", "TWINLOG_KEK"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(variable: str, value: str, sentence: str) -> None:
    with data_folder() as data:
        refused = twinlog("up", "--data", str(data), variables={variable: value})
    assert refused.returncode == 2
    assert sentence in one_sentence(refused.stderr)


def test_stopping_nothing_is_no_fault(tmp_path: Path) -> None:
    done = twinlog("down", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"Nothing was running in {tmp_path}.\n")


def test_a_command_finds_the_running_stack_by_its_folder(stack: Stack) -> None:
    done = twinlog("tenants", "create", "found-by-folder", "--data", str(stack.data), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


def test_explicit_variables_win_over_the_running_stack(stack: Stack) -> None:
    refused = twinlog(
        *("tenants", "create", "elsewhere", "--data", str(stack.data)),
        variables={"TWINLOG_COMMAND_DATABASE_URL": NOWHERE},
    )
    assert refused.returncode == 3
    assert "hidden" not in refused.stderr


@pytest.mark.parametrize(
    "words", [["up"], ["down"], ["migrate"], ["tenants", "create"], ["users", "create-admin"]], ids=" ".join
)
def test_every_command_explains_itself_with_an_example(words: list[str]) -> None:
    said = CliRunner().invoke(application(), [*words, "--help"], env={"COLUMNS": "120"})
    assert said.exit_code == 0
    assert "Example: " in said.stdout
    assert "--data" in said.stdout


@pytest.mark.parametrize("words", [["up", "--command-port", "many"], ["upp"], ["up", "--unknown"]], ids=" ".join)
def test_wrong_use_ends_with_two(words: list[str]) -> None:
    assert CliRunner().invoke(application(), words).exit_code == 2
