"""The variables of a stack: what a person gave wins, and nobody is told what is not theirs to know."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from deploy.local import environment
from deploy.local.data_folder import DataFolder
from deploy.local.provision import DatabaseUrls

URLS = DatabaseUrls(
    command_owner="postgresql://command-owner@h/c",
    command="postgresql://command-app@h/c",
    query_owner="postgresql://query-owner@h/q",
    query="postgresql://query-app@h/q",
    query_reader="postgresql://query-reader@h/q",
    vault_owner="postgresql://vault-owner@h/v",
    vault_writer="postgresql://writer@h/v",
    vault_reader="postgresql://reader@h/v",
)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def test_each_service_is_told_its_own_way_into_the_vault(folder: DataFolder) -> None:
    found = environment.compose(folder, {}, {}, URLS, "redis://h")
    assert found.command["VAULT_DATABASE_URL"] == URLS.vault_writer
    assert found.query["VAULT_DATABASE_URL"] == URLS.vault_reader


@pytest.mark.asvs("V13.2.2")
def test_the_process_that_only_asks_does_not_know_the_role_that_writes(folder: DataFolder) -> None:
    found = environment.compose(folder, {}, {}, URLS, "redis://h")
    assert URLS.query not in found.for_process("query", asks=True).values()
    assert found.for_process("query", asks=True)["TWINLOG_QUERY_DATABASE_URL"] == URLS.query_reader
    assert found.for_process("query")["TWINLOG_QUERY_DATABASE_URL"] == URLS.query
    assert URLS.query_reader not in found.for_process("command").values()


def test_another_database_has_no_reader_but_the_one_that_is_named_with_it(folder: DataFolder) -> None:
    given = {"QUERY_DATABASE_URL": "postgresql://mine@h/q"}
    alone = environment.compose(folder, given, {}, URLS, "redis://h")
    assert "QUERY_READER_URL" not in alone.query
    assert alone.for_process("query", asks=True)["TWINLOG_QUERY_DATABASE_URL"] == given["QUERY_DATABASE_URL"]
    both = environment.compose(folder, given | {"QUERY_READER_URL": "postgresql://r@h/q"}, {}, URLS, "redis://h")
    assert both.query["QUERY_READER_URL"] == "postgresql://r@h/q"


@pytest.mark.asvs("V13.2.2", "V13.3.2")
def test_no_service_knows_the_others_database_or_any_owner(folder: DataFolder) -> None:
    given = {"COMMAND_SECRET": "s" * 32, "COMMAND_OWNER_URL": "postgresql://o@h/c", "TOKEN_KEY_FILE": "key.pem"}
    found = environment.compose(folder, given, {}, URLS, "redis://h")
    assert not {"QUERY_DATABASE_URL", "QUERY_READER_URL", "COMMAND_OWNER_URL", "VAULT_OWNER_URL"} & found.command.keys()
    assert not {"COMMAND_DATABASE_URL", "COMMAND_SECRET", "TOKEN_KEY_FILE", "QUERY_OWNER_URL"} & found.query.keys()


def test_an_explicit_url_wins_over_the_embedded_engine(folder: DataFolder) -> None:
    given = {"COMMAND_DATABASE_URL": "postgresql://mine@h/c", "REDIS_URL": "redis://mine", "LOG_LEVEL": "debug"}
    found = environment.compose(folder, given, {}, URLS, None)
    assert found.command["COMMAND_DATABASE_URL"] == "postgresql://mine@h/c"
    assert found.query["QUERY_DATABASE_URL"] == URLS.query
    assert found.query["REDIS_URL"] == "redis://mine"
    assert found.query["LOG_LEVEL"] == "debug"


def test_a_database_named_by_a_person_is_migrated_only_with_its_owners_url(folder: DataFolder) -> None:
    given = {"COMMAND_DATABASE_URL": "postgresql://mine@h/c", "QUERY_DATABASE_URL": "postgresql://mine@h/q"}
    given["QUERY_OWNER_URL"] = "postgresql://owner@h/q"
    found = environment.compose(folder, given, {}, URLS, None)
    assert found.owner == {"QUERY_OWNER_URL": given["QUERY_OWNER_URL"], "VAULT_OWNER_URL": URLS.vault_owner}


def test_the_embedded_server_is_needed_unless_all_three_databases_are_named() -> None:
    all_named = {f"{database}_DATABASE_URL": "postgresql://h/d" for database in environment.DATABASES}
    assert not environment.needs_postgres(all_named)
    del all_named["VAULT_DATABASE_URL"]
    assert environment.needs_postgres(all_named)


def test_empty_variables_count_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOG_REDIS_URL", "")
    monkeypatch.setenv("TWINLOG_LOG_LEVEL", "debug")
    monkeypatch.setenv("UNRELATED", "1")
    given = environment.explicit()
    assert given["LOG_LEVEL"] == "debug"
    assert "REDIS_URL" not in given
    assert "UNRELATED" not in given


def test_a_process_inherits_everything_but_settings_that_are_not_its_own(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOG_COMMAND_OWNER_URL", "postgresql://owner@h/c")
    monkeypatch.setenv("UNRELATED", "1")
    found = environment.compose(folder, environment.explicit(), {}, URLS, "redis://h").for_process("query")
    assert found["UNRELATED"] == "1"
    assert found["TWINLOG_QUERY_DATABASE_URL"] == URLS.query
    assert "TWINLOG_COMMAND_OWNER_URL" not in found


def test_a_command_adopts_what_a_person_has_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOG_REDIS_URL", "redis://mine")
    monkeypatch.setenv("TWINLOG_KEK", "")
    environment.adopt({"REDIS_URL": "redis://embedded", "KEK": "key"})
    assert (os.environ["TWINLOG_REDIS_URL"], os.environ["TWINLOG_KEK"]) == ("redis://mine", "key")


def test_nothing_is_known_of_a_stack_that_does_not_run(folder: DataFolder) -> None:
    folder.secrets.mkdir()
    environment.remember(folder, environment.compose(folder, {}, {}, URLS, "redis://h"))
    assert environment.of_running(folder) is None
    assert "writer" not in str(asdict(environment.compose(folder, {}, {}, None, None)))
