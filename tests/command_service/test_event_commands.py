"""What operators type to look into the log: every topic and whether it reads, single events, and what is new."""

import json
import subprocess
import sys
from itertools import groupby
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from command_service.cli import app
from command_service.infrastructure.event_store.inspection import Inspection
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.envelope import StoredRow
from tests.support import samples
from tests.support.cluster import Database, Vault
from tests.support.command_process import variables_of
from tests.support.history import METADATA
from tests.support.large_log import fill

TOPICS = ("resources.ResourceCreated.v1", "resources.ResourceDetailsChanged.v1")
CORRELATION = "019abcde-0000-7000-8000-000000000002"
STORE = """
INSERT INTO events (position, tenant_seq, version, recorded_at, event_id, slot, payload_format, leaf_version,
    tenant, stream, topic, leaf_hash, metadata, payload)
SELECT max(position) + 1, max(tenant_seq) + 1, 1, max(recorded_at) + 1, gen_random_uuid(), 0, %s, 1, 'default', %s, %s,
    sha256('leaf'), %s, %s FROM events
"""


@pytest.fixture
def database(command_database: Database, vault_database: Vault, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A log of twenty events: five resources, each changed three times."""
    for name, value in variables_of(command_database, vault_database).items():
        monkeypatch.setenv(name, value)
    fill(command_database.owner_url, 20, streams=5)
    return command_database


def store(database: Database, topic: str, payload: bytes, *, form: int = 1, metadata: bytes = METADATA) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(STORE.encode(), (form, f"things-{uuid4()}", topic, metadata, payload))


def typed(*words: str) -> tuple[int, Any]:
    """The exit code, and the one JSON object on standard output."""
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.stdout.count("\n") == 1, done.output
    return done.exit_code, json.loads(done.stdout)


def test_every_topic_is_listed_with_its_version_and_place(database: Database) -> None:
    code, answer = typed("events", "topics")
    assert (code, answer["ok"]) == (0, True)
    found = [(each["topic"], each["version"], each["count"], each["first"], each["last"]) for each in answer["topics"]]
    assert found == [(TOPICS[0], 1, 5, 1, 5), (TOPICS[1], 1, 15, 6, 20)]
    assert [(each["checked"], each["reads_as"], each["problem"]) for each in answer["topics"]] == [
        (2, TOPICS[0], None),
        (2, TOPICS[1], None),
    ]


def test_topics_of_all_releases_read_without_anybodys_key(database: Database) -> None:
    for sample in samples.read().values():
        store(database, sample.topic, sample.payload.encode())
    code, answer = typed("events", "topics", "--all")
    assert (code, all(each["decodes"] for each in answer["topics"])) == (0, True)
    assert {each["topic"] for each in answer["topics"]} == set(samples.read())
    assert sum(each["checked"] for each in answer["topics"]) == 20 + len(samples.read())


def test_what_does_not_read_is_named_and_is_exit_code_1(database: Database) -> None:
    store(database, "lending.BookLent.v7", b"{}")
    store(database, TOPICS[0], b'{"resource_id": "none"}')
    store(database, "anything", b"\x80", form=0)
    code, answer = typed("events", "topics")
    assert (code, answer["ok"]) == (1, False)
    found = {each["topic"]: (each["version"], each["decodes"], each["problem"]) for each in answer["topics"]}
    assert found["lending.BookLent.v7"] == (7, False, "The topic 'lending.BookLent.v7' is not known to this release.")
    assert found[TOPICS[0]] == (1, False, "The event at position 22 does not fit its contract.")
    assert found["anything"][:2] == (None, False)
    assert found[TOPICS[1]] == (1, True, None)


def test_only_reading_all_finds_what_is_wrong_in_the_middle(database: Database) -> None:
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_append_only")
        connection.execute("UPDATE events SET payload = 'cut' WHERE position = 9")
    assert typed("events", "topics")[0] == 0
    code, answer = typed("events", "topics", "--all")
    assert (code, answer["topics"][1]["problem"]) == (1, "The event at position 9 is not JSON.")
    assert answer["topics"][1]["unreadable"] == 1


def positions(*words: str) -> list[int]:
    code, answer = typed("events", "list", *words)
    assert code == 0
    return [each["position"] for each in answer["events"]]


def test_events_are_listed_by_what_is_known_of_them(database: Database) -> None:
    assert positions() == list(range(1, 21))
    assert positions("--limit", "3", "--newest") == [20, 19, 18]
    assert positions("--after", "17") == [18, 19, 20]
    assert positions("--topic", TOPICS[0]) == [1, 2, 3, 4, 5]
    stream = typed("events", "show", "1")[1]["event"]["stream"]
    assert positions("--stream", stream) == [1, 6, 11, 16]
    assert positions("--stream", stream, "--newest", "--limit", "2") == [16, 11]
    assert positions("--tenant", "acme") == []


def test_events_are_listed_by_time(database: Database) -> None:
    times = [typed("events", "show", str(position))[1]["event"]["time"] for position in (4, 9)]
    assert positions("--since", times[0], "--until", times[1]) == [4, 5, 6, 7, 8]


def test_event_is_shown_whole_and_what_is_personal_is_not(database: Database) -> None:
    sample = samples.read()[UserRegistered.TOPIC]
    store(database, sample.topic, sample.payload.encode())
    code, answer = typed("events", "show", "21")
    assert (code, answer["event"]["type"]) == (0, UserRegistered.TOPIC)
    assert answer["event"]["data"] == {
        "email": "[redacted]",
        "name": "[redacted]",
        "password_hash": "[redacted]",
        "user_id": sample.subject,
    }
    assert len(answer["event"]["leaf_hash"]) == 64
    assert typed("events", "show", "22") == (1, {"ok": False, "code": "not-found", "detail": _ABSENT})


_ABSENT = "The log has no event at position 22."


def test_event_that_does_not_read_is_shown_as_far_as_it_goes(database: Database) -> None:
    store(database, "anything", b"[1", metadata=b"{")
    found = typed("events", "show", "21")[1]["event"]
    assert (found["actor"], found["data"]) == (
        None,
        {"unreadable": "The event at position 21 is not JSON.", "bytes": 2},
    )


def test_trace_follows_a_correlation_id(database: Database) -> None:
    other = METADATA.replace(b'"test"', f'"test {CORRELATION}"'.encode())
    store(database, TOPICS[0], b"{}", metadata=other)
    code, answer = typed("events", "trace", CORRELATION)
    assert (code, [each["position"] for each in answer["events"]]) == (0, list(range(1, 21)))
    assert typed("events", "trace", "nobody")[1]["code"] == "not-found"


def test_tail_begins_where_it_is_told_to(database: Database) -> None:
    done = CliRunner().invoke(app, ["events", "tail", "--after", "18", "--limit", "2", "--json"])
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == [19, 20]
    done = CliRunner().invoke(app, ["events", "tail", "--after", "0", "--topic", TOPICS[1], "--limit", "1"])
    assert done.stdout.split()[0] == "6"


def test_tail_shows_what_comes_while_it_runs(database: Database) -> None:
    command = [sys.executable, "-m", "deploy.cli", "events", "tail", "--after", "20", "--limit", "2", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        for position in (21, 22):  # each only once the one before has been shown
            store(database, TOPICS[0], b"{}")
            assert json.loads(tail.stdout.readline())["position"] == position
    assert tail.returncode == 0


def test_tail_of_a_long_log_shows_the_first_page_before_it_reads_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    page, echo = Inspection._page, typer.echo

    async def noted_page(self: Inspection, *arguments: Any, **options: Any) -> list[StoredRow]:
        steps.append("page")
        return await page(self, *arguments, **options)

    def noted_echo(message: Any) -> None:
        steps.append("line")
        echo(message)

    monkeypatch.setattr(Inspection, "_page", noted_page)
    monkeypatch.setattr(typer, "echo", noted_echo)
    fill(database.owner_url, 1_500, streams=5, name="more")
    assert CliRunner().invoke(app, ["events", "tail", "--after", "0", "--limit", "1200"]).exit_code == 0
    assert [(step, len(list(run))) for step, run in groupby(steps)] == [
        ("page", 1),
        ("line", 1_000),
        ("page", 1),
        ("line", 200),
    ]


def test_people_read_lines_and_tables(database: Database) -> None:
    for words, said in (
        (("list", "--limit", "1"), TOPICS[0]),
        (("list", "--tenant", "acme"), "There is nothing."),
        (("show", "3"), '"position": 3'),
        (("trace", CORRELATION), TOPICS[1]),
        (("topics",), "resources."),
    ):
        done = CliRunner().invoke(app, ["events", *words])
        assert done.exit_code == 0
        assert said in done.stdout


def test_stream_is_archived_from_the_command_line(database: Database) -> None:
    stream = typed("events", "show", "1")[1]["event"]["stream"]
    assert typed("streams", "archive", stream)[1]["code"] == "open-stream-stays"
    created = json.dumps({"resource_id": stream.removeprefix("resources-")})
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_append_only")
        statement = "UPDATE events SET topic = 'resources.ResourceArchived.v1', payload = %s WHERE position = 16"
        connection.execute(statement, (created.encode(),))
    code, answer = typed("streams", "archive", stream, "--reason", "done with")
    assert (code, answer["stream"], answer["version"]) == (0, stream, 5)
    assert typed("streams", "archive", stream)[1]["code"] == "archived-stream-refuses-appends"
    assert positions("--stream", stream)[-1] == answer["position"]


def test_unreachable_database_is_exit_code_3(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOG_COMMAND_DATABASE_URL", "postgresql://twinlog:hidden@127.0.0.1:9/twinlog")
    code, answer = typed("events", "list")
    assert (code, answer["code"], "hidden" in answer["detail"]) == (3, "unreachable", False)
