"""`twinlog epoch new`, as typed by an operator whose shell knows the databases."""

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from typer.testing import CliRunner

from deploy.cli import application
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support.cluster import Database

NOWHERE = "postgresql://twinlog:secret@127.0.0.1:1/nowhere"


@pytest.fixture
def variables(
    command_database: Database, query_database: Database, redis_url: str, tmp_path: Path
) -> dict[str, str | None]:
    mine: dict[str, str | None] = {name: None for name in os.environ if name.startswith("TWINLOG_")}
    return mine | {
        "TWINLOG_DATA": str(tmp_path / "none"),
        "TWINLOG_COMMAND_OWNER_URL": command_database.owner_url,
        "TWINLOG_COMMAND_DATABASE_URL": command_database.app_url,
        "TWINLOG_QUERY_DATABASE_URL": query_database.app_url,
        "TWINLOG_REDIS_URL": redis_url,
    }


def epoch_new(variables: dict[str, str | None], *words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner(env=variables).invoke(application(), ["epoch", "new", *words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_new_epoch_is_above_what_log_redis_and_read_models_know(
    variables: dict[str, str | None], query_database: Database, redis_url: str
) -> None:
    with psycopg.connect(query_database.app_url) as connection:
        connection.execute(
            "INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)"
            " VALUES ('audit_events', 'blue', 0, 41, 4)"
        )
    with redis.Redis.from_url(redis_url) as client:
        client.set(MARK_KEY, Mark(3, 50, (0,) * 8, 1).encode())
    code, begun = epoch_new(variables, "--reason", "disk failure")
    assert (code, begun["ok"], begun["epoch"], begun["followed"], begun["seen_upto"]) == (0, True, 5, 4, 41)
    assert begun["reason"] == "disk failure"
    places = {each["place"]: each["epoch"] for each in begun["seen"]}
    assert places == {"log": 1, "mark in Redis": 3, "checkpoints of the read models": 4}


def test_sentence_for_people_says_what_is_lost(variables: dict[str, str | None], redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(MARK_KEY, Mark(1, 50, (0,) * 8, 1).encode())
    done = CliRunner(env=variables).invoke(application(), ["epoch", "new"])
    assert done.exit_code == 0
    assert done.stdout == "Epoch 2 begins after position 0; epoch 1 was seen up to 50: 50 positions are lost.\n"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TWINLOG_COMMAND_OWNER_URL", None, "Only the owner of the log raises its epoch"),
        ("TWINLOG_REDIS_URL", None, "or say --without redis"),
        ("TWINLOG_QUERY_DATABASE_URL", None, "or say --without read-models"),
        ("TWINLOG_REDIS_URL", "redis://127.0.0.1:1/0", "or say --without redis"),
        ("TWINLOG_QUERY_DATABASE_URL", NOWHERE, "or say --without read-models"),
        ("TWINLOG_COMMAND_OWNER_URL", NOWHERE, "127.0.0.1"),
    ],
)
def test_who_cannot_be_asked_is_named_and_nothing_happens(
    variables: dict[str, str | None], command_database: Database, name: str, value: str | None, words: str
) -> None:
    code, refused = epoch_new(variables | {name: value})
    assert (code, refused["ok"]) == (3, False)
    assert words in refused["detail"]
    assert "secret" not in refused["detail"]
    with psycopg.connect(command_database.owner_url) as connection:
        assert connection.execute("SELECT epoch FROM installation").fetchone() == (1,)


def test_who_is_lost_need_not_be_asked(variables: dict[str, str | None]) -> None:
    without = variables | {"TWINLOG_REDIS_URL": None, "TWINLOG_QUERY_DATABASE_URL": None}
    code, begun = epoch_new(without, "--without", "redis", "--without", "read-models")
    assert (code, begun["epoch"], [each["place"] for each in begun["seen"]]) == (0, 2, ["log"])


def test_run_time_role_does_not_pass_for_the_owner(
    variables: dict[str, str | None], command_database: Database
) -> None:
    code, refused = epoch_new(variables | {"TWINLOG_COMMAND_OWNER_URL": command_database.app_url})
    assert (code, refused["ok"]) == (3, False)


def test_unknown_place_is_wrong_use(variables: dict[str, str | None]) -> None:
    done = CliRunner(env=variables).invoke(application(), ["epoch", "new", "--without", "everything", "--json"])
    assert done.exit_code == 2
