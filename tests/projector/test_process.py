"""The projector as a process, and the whole way of an event: log, relay, Redis, projector, row; all of them real."""

import asyncio
import signal
from uuid import uuid4

import httpx2
import psycopg
import pytest
import redis

from command_service.infrastructure.event_store.port import Append, NewEvent
from query_service.infrastructure.schema import head
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.messaging.mark import Mark
from tests.support.chain import PROJECTOR, Chain, run_twinlog
from tests.support.cluster import Database
from tests.support.command_process import command_process, start
from tests.support.history import METADATA
from tests.support.processes import wait_until

MODULE = PROJECTOR


def refused(variables: dict[str, str]) -> tuple[int, str]:
    """Exit code and everything said by a projector that does not start."""
    with start(variables, MODULE) as process:
        _, said = process.communicate(timeout=30)
        return process.returncode, said


def test_unreachable_redis_is_one_sentence_and_exit_code_3(variables: dict[str, str]) -> None:
    code, said = refused(variables | {"TWINLOG_REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (code, said) == (3, "Redis at 127.0.0.1:1/0 cannot be reached: ConnectionError.\n")


@pytest.mark.parametrize("name", ["QUERY", "VAULT"])
def test_unreachable_database_is_one_sentence_and_exit_code_3(variables: dict[str, str], name: str) -> None:
    code, said = refused(variables | {f"TWINLOG_{name}_DATABASE_URL": "postgresql://x:secret@127.0.0.1:1/db"})
    assert code == 3
    assert said.startswith("The database at 127.0.0.1:1/db cannot be reached")
    assert len(said.splitlines()) == 1


def test_missing_redis_url_is_one_sentence_and_exit_code_2(variables: dict[str, str]) -> None:
    code, said = refused(variables | {"TWINLOG_REDIS_URL": ""})
    assert (code, said) == (2, "The settings cannot be used: TWINLOG_REDIS_URL is missing.\n")


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_schema_of_another_release_is_one_sentence_and_exit_code_2(
    variables: dict[str, str], query_database: Database, revision: str
) -> None:
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
    code, said = refused(variables)
    assert (code, len(said.splitlines())) == (2, 1)
    assert f"is at revision {revision}, this release needs {head()}; run `twinlog migrate`" in said


def test_projector_that_finds_neither_mark_nor_feed_waits_and_says_so(variables: dict[str, str]) -> None:
    with command_process(variables, MODULE) as projector:
        wait_until(lambda: httpx2.get(f"{projector.url}/readyz").status_code == 503, "it is not ready")
        wait_until(lambda: "The feed cannot be read" in httpx2.get(f"{projector.url}/readyz").text, "it says why")
        assert projector.stop() == 0


async def test_event_travels_from_the_log_to_a_row_and_a_rebuild_shows_the_same(chain: Chain) -> None:
    await chain.append(50)
    await chain.shows(50)
    for process in (chain.relay, chain.projector):
        answer = httpx2.get(f"{process.url}/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    code, rebuilt = await chain.twinlog("projections", "rebuild", "--all")
    assert (code, rebuilt["ok"], rebuilt["events"]) == (0, True, 76)  # with the tenant's own event
    assert rebuilt["per_second"] == pytest.approx(76 / rebuilt["seconds"], rel=0.1)
    code, compared = await chain.twinlog("projections", "diff", "--all")
    assert (code, compared["ok"]) == (0, True)
    found = compared["projections"]["resources"]
    assert found == {"rows": 50, "missing": 0, "unexpected": 0, "different": 0, "first": []}
    await switch_and_back(chain)
    with psycopg.connect(chain.query_database.app_url) as connection:
        connection.execute("UPDATE blue.resources SET name = 'forged' WHERE name = 'r3'")
    code, compared = await chain.twinlog("projections", "diff", "resources")
    assert (code, compared["ok"], compared["projections"]["resources"]["different"]) == (1, False, 1)


async def switch_and_back(chain: Chain) -> None:
    code, switched = await chain.twinlog("projections", "switch", "resources")
    assert (code, switched["active"]) == (0, "green")
    code, status = await chain.twinlog("projections", "status")
    (resources,) = [each for each in status["projections"] if each["name"] == "resources"]
    assert (resources["active"], resources["shadow"], resources["parked"]) == ("green", "blue", 0)
    assert switched["recorded"]
    code, back = await chain.twinlog("projections", "rollback", "resources")
    assert (code, back["active"]) == (0, "blue")


async def test_wiped_redis_and_a_killed_projector_lose_and_double_nothing(
    chain: Chain, variables: dict[str, str]
) -> None:
    await chain.append(20)
    await chain.shows(20)
    chain.projector.process.send_signal(signal.SIGSTOP)
    await chain.append(20)
    with redis.Redis.from_url(chain.variables["TWINLOG_REDIS_URL"]) as client:
        await asyncio.to_thread(wait_until, lambda: Mark.decode(client.get("events:mark")).head == 61, "published")
        client.flushall()
    chain.projector.process.send_signal(signal.SIGCONT)
    await chain.shows(40)
    chain.projector.process.kill()
    await chain.append(20)
    with command_process(variables, MODULE):
        await chain.shows(60)
        with psycopg.connect(chain.query_database.app_url) as connection:
            copied = connection.execute("SELECT count(*), count(DISTINCT position) FROM audit_events").fetchone()
    assert copied == (91, 91)  # 60 created, 30 archived, and the tenant's own event


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("projections", "rebuild"), 2),
        (("projections", "rebuild", "nonsense"), 2),
        (("projections", "rebuild", "resources", "--all"), 2),
        (("projections", "rebuild", "resources"), 1),
        (("projections", "switch", "resources"), 1),
        (("projections", "rollback", "resources"), 1),
        (("projections", "status"), 0),
        (("parked", "list"), 0),
    ],
)
def test_command_on_an_empty_database_answers_one_object(
    variables: dict[str, str], words: tuple[str, ...], code: int
) -> None:
    ended, answer = run_twinlog(variables, *words)
    assert (ended, answer["ok"]) == (code, code == 0)


def test_command_without_its_database_is_one_sentence_and_exit_code_3(variables: dict[str, str]) -> None:
    nowhere = variables | {"TWINLOG_QUERY_DATABASE_URL": "postgresql://x:secret@127.0.0.1:1/db"}
    code, answer = run_twinlog(nowhere, "projections", "status")
    assert (code, answer["ok"]) == (3, False)
    assert "cannot be reached" in answer["detail"]


async def append_lost(chain: Chain) -> tuple[str, int]:
    """A stream that begins with an event nobody can handle, and where that is."""
    lost = ResourceArchived(resource_id=uuid4())
    event = NewEvent(uuid4(), lost.TOPIC, lost.model_dump_json().encode(), METADATA)
    stream = f"resources-{lost.resource_id}"
    return stream, (await chain.store.append(Append("default", stream, 0, (event,)))).position


async def test_operator_looks_at_parked_events_rehearses_chooses_and_does_without_one(chain: Chain) -> None:
    (stream, position), (second, later) = [await append_lost(chain) for _ in range(2)]
    await chain.append(2)
    await chain.shows(2)
    await chain.parks(2)
    _, listed = await chain.twinlog("parked", "list")
    assert [(each["stream"], each["position"]) for each in listed["parked"]] == [(stream, position), (second, later)]
    assert [(each["streams"], each["events"]) for each in listed["causes"]] == [(2, 2)]
    code, shown = await chain.twinlog("parked", "show", "resources", stream)
    assert (code, shown["events"][0]["topic"]) == (0, ResourceArchived.TOPIC)
    code, tried = await chain.twinlog("parked", "retry", "resources", stream, "--dry-run")
    assert (code, tried["streams"][0]["parked"], tried["dry_run"]) == (1, 1, True)
    for since, chosen in ((position, {stream, second}), (later, {second})):
        code, tried = await chain.twinlog("parked", "retry", "resources", "--from", str(since))
        assert (code, {each["stream"] for each in tried["streams"]}) == (1, chosen)
    code, refused_ = await chain.twinlog("parked", "retry", "resources", "--from", str(later + 1))
    assert (code, refused_["code"]) == (1, "nothing-parked")
    code, skipped = await chain.twinlog("parked", "skip", "resources", stream, str(position), "--reason", "orphan")
    assert (code, skipped["skipped"], skipped["recorded"]) == (0, position, True)
    assert [each["stream"] for each in (await chain.twinlog("parked", "list"))[1]["parked"]] == [second]


async def test_operator_leaves_a_rebuild_to_the_projector(chain: Chain) -> None:
    await chain.append(10)
    await chain.shows(10)
    code, asked = await chain.twinlog("projections", "rebuild", "resources", "--background", "--at-once")
    assert (code, asked["asked"]) == (0, ["resources"])

    def answered_by_green() -> bool:
        with psycopg.connect(chain.query_database.app_url) as connection:
            found = connection.execute("SELECT active FROM projections WHERE name = 'resources'").fetchone()
        return found == ("green",)

    await asyncio.to_thread(wait_until, answered_by_green, "the rebuilt generation answers")
    for action in ("pause", "resume", "cancel"):
        code, refused_ = await chain.twinlog("projections", action, "resources")
        assert (code, refused_["code"]) == (1, "not-in-this-state")
