"""The doctor's judgement: which figures are fine, what a fault is called, and that a fresh pair gives no cause."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from deploy.doctor import delivery, keys
from deploy.doctor.connecting import Connection, connect, redis_servers
from deploy.doctor.databases import clock, revision
from deploy.doctor.disk import disk
from deploy.doctor.examination import examine
from deploy.doctor.finding import Check, State, exit_code, fine, found, skipped, unreachable
from deploy.doctor.rights import rights
from deploy.doctor.surroundings import Surroundings, Way, find
from deploy.doctor.transactions import HIDDEN, Limits, Session, transactions
from deploy.local.data_folder import DataFolder
from deploy.local.environment import Environments
from deploy.local.ports import free_port
from shared_kernel.auth.tokens import SigningKey
from shared_kernel.messaging.mark import Mark
from shared_kernel.process import Unreachable
from tests.support.cluster import Cluster, Database, Vault

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOG = delivery.Log(epoch=1, partitions=2, now=1_000_000_000, head=10)
AROUND = Surroundings(Environments({}, {}, {}), {}, {})


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([fine("a", "."), skipped("b", ".")], 0),
        ([fine("a", "."), found("b", ".", ".")], 1),
        ([found("a", ".", "."), unreachable("b", ".", ".")], 3),
    ],
)
def test_the_exit_code_says_the_worst(checks: list[Check], code: int) -> None:
    assert exit_code(checks) == code


def test_a_line_ends_with_what_to_do() -> None:
    line = found("disk", "Nothing free.", "make room.").as_line()
    assert line == "found       disk                  Nothing free. To do: make room."


@pytest.mark.asvs("V16.2.2")
@pytest.mark.parametrize(("seconds", "says"), [(-90, "90.0 s behind"), (90, "90.0 s ahead of")])
def test_a_clock_that_differs_is_named_with_its_direction(seconds: int, says: str) -> None:
    check = clock("clock.redis", lambda: NOON + timedelta(seconds=seconds), lambda: NOON)
    assert check.state is State.FOUND
    assert says in check.says


def test_a_slow_answer_is_no_clock_skew() -> None:
    moments = iter([NOON, NOON + timedelta(seconds=20)])
    check = clock("clock.redis", lambda: NOON + timedelta(seconds=10), lambda: next(moments))
    assert (check.state, check.facts["seconds_ahead"]) == (State.FINE, 0.0)


def session(pid: int, *, query: str = "SELECT 1 AS one", age: float = 0.0, waiting: float = 0.0) -> Session:
    return Session(pid, "server/log", "somebody", query, age, waiting, (99,) if waiting else ())


def test_of_a_session_seen_twice_the_account_that_says_most_counts() -> None:
    check = transactions([session(7, query=HIDDEN), session(7, age=40.0)], Limits())
    assert [each["query"] for each in check.facts["long"]] == ["SELECT 1 AS one"]


def test_short_transactions_and_short_waits_are_fine() -> None:
    assert transactions([session(7, age=1.0), session(8, waiting=1.0)], Limits()).state is State.FINE


def test_whoever_waits_is_no_culprit() -> None:
    check = transactions([session(7, age=60.0, waiting=50.0)], Limits())
    assert check.facts["long"] == []
    assert "pg_terminate_backend(99)" in check.advice
    assert "pg_terminate_backend(7)" not in check.advice


def test_a_full_disk_is_found_before_it_is_full(tmp_path: Path) -> None:
    assert disk(DataFolder(tmp_path), least_bytes=1 << 62).state is State.FOUND
    assert disk(DataFolder(tmp_path), least_bytes=0).facts["free_bytes"] > 0
    assert disk(None).state is State.SKIPPED


@pytest.mark.parametrize("name", ["SHARED_SECRET", "KEK"])
def test_secrets_that_differ_between_the_services_are_named(name: str) -> None:
    around = replace(AROUND, settings=Environments({name: "one"}, {name: "other"}, {}))
    check = keys.agreement(around)
    assert check.state is State.FOUND
    assert check.says == f"TWINLOG_{name} of the two services differ."


def test_a_missing_or_development_secret_is_found() -> None:
    complete = {"COMMAND_DATABASE_URL": "postgresql://h/a", "QUERY_DATABASE_URL": "postgresql://h/b"}
    complete |= {"VAULT_DATABASE_URL": "postgresql://h/c", "ENV": "development"}
    command, query = keys.settings(replace(AROUND, settings=Environments({}, complete, {})))
    assert "TWINLOG_COMMAND_SECRET is missing" in command.says
    assert (query.name, query.state) == ("settings.query", State.FOUND)
    assert "development" in query.says


def test_a_token_key_file_that_is_none_is_found(tmp_path: Path) -> None:
    missing = {"TOKEN_KEY_FILE": str(tmp_path / "none.pem")}
    assert keys.token(replace(AROUND, settings=Environments(missing, {}, {}))).state is State.FOUND
    assert keys.token(AROUND).state is State.SKIPPED


def test_a_good_token_key_is_not_compared_while_the_command_api_is_away(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(SigningKey.generate_pem())
    settings = Environments({"TOKEN_KEY_FILE": str(tmp_path / "key.pem")}, {}, {})
    check = keys.token(Surroundings(settings, {"command": f"http://127.0.0.1:{free_port()}"}, {}))
    assert (check.state, check.says[:7]) == (State.UNREACHABLE, "Usable;")


def test_without_folder_and_variables_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No stack is running"):
        find(tmp_path / "nothing")


def test_containers_are_found_by_their_secret_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for service, name in (("command", "twinlog_command_database_url"), ("query", "twinlog_query_database_url")):
        (tmp_path / service).mkdir()
        (tmp_path / service / name).write_text(f"postgresql://{service}@postgres:5432/{service}")
    monkeypatch.setenv("TWINLOG_SECRETS_BASE", str(tmp_path))
    monkeypatch.setenv("TWINLOG_RELAY_URL", "http://relay:8003")
    around = find(None)
    assert [(way.database, way.role) for way in around.run_time()] == [("command", "command"), ("query", "query")]
    assert around.urls["relay"] == "http://relay:8003"


def test_variables_alone_are_enough_and_what_they_lack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("TWINLOG_COMMAND_DATABASE_URL", f"postgresql://somebody:hidden@127.0.0.1:{port}/log")
    for name in ("COMMAND", "QUERY", "RELAY", "PROJECTOR"):
        monkeypatch.setenv(f"TWINLOG_{name}_URL", f"http://127.0.0.1:{port}")
    checks = {check.name: check for check in examine(find(None))}
    assert "hidden" not in str(checks)
    gone = {name for name, check in checks.items() if check.state is State.UNREACHABLE}
    processes = {f"process.{name}" for name in ("command", "query", "relay", "projector")}
    assert gone == processes | {"database.command", "database.query", "database.vault", "redis"}
    assert "set TWINLOG_VAULT_DATABASE_URL" in checks["database.vault"].advice
    assert "set TWINLOG_QUERY_URL" in checks["process.query"].advice


@pytest.fixture
def ways(command_database: Database, query_database: Database, vault_database: Vault) -> list[Way]:
    return [
        Way("command", "command", command_database.app_url),
        Way("query", "query", query_database.app_url),
        Way("query", "reader", query_database.reader_url),
        Way("vault", "command", vault_database.writer_url),
        Way("vault", "query", vault_database.reader_url),
    ]


def test_a_fresh_pair_gives_no_cause_for_complaint(ways: list[Way]) -> None:
    """Whoever grants a run-time role something new says so in `MAY_CHANGE`, with this test as the reminder."""
    for way in ways:
        with connect(way.url) as connection:
            foreign = [other.name for other in ways if other.name != way.name]
            checks = [rights(way, connection, foreign), revision(way, connection)]
        assert [check.says for check in checks if check.state is not State.FINE] == []


def test_an_owner_serving_requests_is_found(query_database: Database) -> None:
    way = Way("query", "query", query_database.owner_url)
    with connect(way.url) as connection:
        check = rights(way, connection, [])
    assert check.says.startswith("twinlog_query_owner owns the database, and ")


def test_an_administrator_serving_requests_is_found(cluster: Cluster, command_database: Database) -> None:
    base, _, _ = cluster.server_url.rpartition("/")
    way = Way("command", "command", f"{base}/{command_database.name}")
    with connect(way.url) as connection:
        check = rights(way, connection, [])
    assert "is a superuser" in check.says


def test_a_schema_of_another_release_is_found(query_database: Database) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0000'")
    with connect(query_database.app_url) as connection:
        check = revision(Way("query", "query", query_database.app_url), connection)
    assert check.state is State.FOUND
    assert "is at revision 0000" in check.says
    assert "twinlog migrate" in check.advice


def test_a_relay_that_wrote_no_mark_is_found(command: Connection, query: Connection) -> None:
    assert delivery.relay_lag(None, LOG, command).state is State.FOUND
    assert delivery.projector_lag(None, LOG, query, command).state is State.FOUND


def test_a_mark_that_is_not_rewritten_shows_a_silent_relay(command: Connection) -> None:
    log = delivery.read_log(command)
    check = delivery.relay_lag(Mark(1, log.head, (0,), log.now - 60_000_000), log, command)
    assert check.state is State.FOUND
    assert "the mark is 60 s old" in check.says


def test_parked_streams_are_named_with_the_command_that_says_why(query_database: Database, query: Connection) -> None:
    assert delivery.parked(query).state is State.FINE
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute(
            "INSERT INTO public.parked_events (projection, generation, partition, tenant, stream, version, position,"
            " topic, reason, fingerprint) VALUES ('resources', 'blue', 0, 'a', 'resources-1', 1, 7, 't', 'r', 'f')"
        )
    check = delivery.parked(query)
    assert check.says == "1 stand still, the first is resources-1 for resources."
    assert "twinlog parked list" in check.advice


def test_a_checkpoint_that_stands_still_shows_as_lag(
    command_database: Database, query_database: Database, command: Connection, query: Connection
) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("INSERT INTO public.projections (name, version) VALUES ('resources', 1)")
        owner.execute(
            "INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)"
            " VALUES ('resources', 'blue', 0, 0, 2)"
        )
    with psycopg.connect(command_database.owner_url) as owner:
        owner.execute(
            "INSERT INTO events (position, tenant_seq, version, recorded_at, event_id, slot, payload_format,"
            " leaf_version, tenant, stream, topic, leaf_hash, metadata, payload)"
            " VALUES (1, 1, 1, 1, gen_random_uuid(), 0, 1, 1, 'default', 's-1', 't', '', '', '')"
        )
    log = delivery.read_log(command)
    mark = Mark(1, 1, (1,) + (0,) * (log.partitions - 1), log.now)
    assert delivery.relay_lag(mark, log, command).state is State.FINE
    late = delivery.projector_lag(mark, log, query, command)
    assert (late.state, late.facts["positions"]) == (State.FOUND, 1)
    assert "resources has not handled an event" in late.says
    assert delivery.relay_lag(replace(mark, head=0), log, command).state is State.FOUND
    assert "resources of the query database in 2" in delivery.epoch(mark, log, query).says


def test_redis_that_would_throw_streams_away_is_found(redis_url: str) -> None:
    with redis_servers(redis_url) as (_, servers):
        ((place, client),) = servers.items()
        assert delivery.redis(client, place).state is State.FINE
        client.config_set("maxmemory", 1 << 30)
        client.config_set("maxmemory-policy", "allkeys-lru")
        thrown = delivery.redis(client, place)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1 << 20)
        full = delivery.redis(client, place)
        client.config_set("maxmemory", 0)
    assert "allkeys-lru would throw streams away" in thrown.says
    assert "of its memory is used" in full.says


def test_a_vault_that_the_key_does_not_open_is_found(vault_database: Vault) -> None:
    with psycopg.connect(vault_database.owner_url) as owner:
        owner.execute(
            "INSERT INTO subject_keys (tenant, subject, key_id, wrapped, kek_generation)"
            " VALUES ('default', 'users-1', gen_random_uuid(), decode(repeat('00', 60), 'hex'), 1)"
        )
    with connect(vault_database.reader_url) as connection:
        check = keys.vault(AROUND, connection)
    assert check.state is State.FOUND
    assert "does not open the newest key" in check.says
