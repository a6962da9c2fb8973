"""`twinlog doctor` beside a running stack: fine when all is fine, and each planted fault is named with its remedy."""

import json
import os
import signal
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from deploy.doctor.examination import examine
from deploy.doctor.finding import Check, State, exit_code
from deploy.doctor.surroundings import Surroundings, find
from deploy.doctor.transactions import Limits
from deploy.local.ports import free_port
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support.processes import wait_until
from tests.support.stack import Stack, running_stack, twinlog

IMPATIENT = Limits(transaction=0.3, waiting=0.3)


@pytest.fixture
def around(stack: Stack) -> Surroundings:
    return find(stack.data)


def named(checks: Sequence[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def way(around: Surroundings, database: str, service: str = "") -> str:
    """A URL into a database; the owner's without a service."""
    return next(way.url for way in around.all_ways() if (way.database, way.service) == (database, service))


@contextmanager
def frozen(stack: Stack, name: str) -> Iterator[int]:
    """A process that is there and does nothing, by its id; afterwards nothing tells of it any more."""
    pid = stack.pid_of(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)
    stack.settle()


def test_a_healthy_stack_is_fine_in_every_point(stack: Stack) -> None:
    done = stack.twinlog("doctor", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True), done.stdout
    assert {check["state"] for check in found["checks"]} == {"fine"}
    assert len({check["name"] for check in found["checks"]}) == len(found["checks"]) >= 30


def test_people_get_one_line_for_each_check(stack: Stack) -> None:
    lines = stack.twinlog("doctor").stdout.splitlines()
    assert len(lines) >= 30
    assert all(line.startswith("fine ") for line in lines)


def test_without_a_stack_it_says_how_to_start_one(stack: Stack, tmp_path: Path) -> None:
    done = stack.twinlog("doctor", "--data", str(tmp_path / "none"), "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["ok"] is False
    assert "start one with `twinlog up`" in json.loads(done.stdout)["detail"]


def test_a_process_just_killed_is_named(stack: Stack, around: Surroundings) -> None:
    os.kill(stack.pid_of("relay"), signal.SIGKILL)
    checks = examine(around)
    missing = named(checks, "process.relay")
    assert missing.state is State.UNREACHABLE
    assert "logs/relay.log" in missing.advice
    assert exit_code(checks) == 3
    wait_until(lambda: named(examine(find(stack.data)), "process.relay").state is State.FINE, "the relay is back")
    stack.settle()


def test_a_process_that_hangs_is_named_with_its_number(stack: Stack) -> None:
    with frozen(stack, "projector") as pid:
        done = stack.twinlog("doctor", "--json")
    hanging = next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "process.projector")
    assert done.returncode == 3
    assert hanging["state"] == "unreachable"
    assert "does not answer (ReadTimeout)" in hanging["says"]
    assert f"process {pid}" in hanging["advice"]


def test_a_silent_redis_is_named_and_the_rest_is_looked_at(stack: Stack, around: Surroundings) -> None:
    with frozen(stack, "valkey"):
        checks = examine(around)
    assert named(checks, "redis").state is State.UNREACHABLE
    assert "commands go on meanwhile" in named(checks, "redis").advice
    assert {named(checks, name).state for name in ("lag.relay", "lag.projector", "epoch")} == {State.SKIPPED}
    assert named(checks, "database.command").state is State.FINE
    assert exit_code(checks) == 3


def test_a_database_out_of_reach_is_named_without_its_password(stack: Stack) -> None:
    nowhere = f"postgresql://somebody:hidden@127.0.0.1:{free_port()}/nothing"
    variables = {"TWINLOG_DATA": str(stack.data), "TWINLOG_QUERY_DATABASE_URL": nowhere}
    done = twinlog("doctor", variables=variables)
    assert done.returncode == 3
    (line,) = (line for line in done.stdout.splitlines() if "database.query" in line)
    assert line.startswith("unreachable")
    assert "somebody" in line
    assert "hidden" not in done.stdout + done.stderr


def test_a_transaction_left_open_is_named_with_its_process_and_query(around: Surroundings) -> None:
    with psycopg.connect(way(around, "query", "query")) as idle:
        idle.execute("SELECT position FROM public.audit_events LIMIT 1")
        pid = idle.info.backend_pid
        check = wait_until_found(around, "transactions", "long", pid)
    session = of_process(check.facts["long"], pid)
    assert session["role"] == "twinlog_query_app"
    assert session["query"] == "SELECT position FROM public.audit_events LIMIT 1"
    assert session["age"] >= 0.3
    assert f"pg_terminate_backend({pid})" in check.advice


def test_who_is_blocked_is_named_with_who_blocks(around: Surroundings) -> None:
    with psycopg.connect(way(around, "vault")) as blocker, psycopg.connect(way(around, "vault")) as blocked:
        pids = [blocked.info.backend_pid, blocker.info.backend_pid]
        blocker.execute("LOCK TABLE erased_subjects IN ACCESS EXCLUSIVE MODE")
        reading = threading.Thread(target=lambda: blocked.execute("SELECT count(subject) FROM erased_subjects"))
        reading.start()
        check = wait_until_found(around, "transactions", "blocked", pids[0])
        blocker.rollback()
        reading.join(20)
    session = of_process(check.facts["blocked"], pids[0])
    assert session["blockers"] == pids[1:]
    assert session["query"] == "SELECT count(subject) FROM erased_subjects"
    assert f"pg_terminate_backend({pids[1]})" in check.advice


def of_process(sessions: Sequence[Mapping[str, Any]], pid: int) -> Mapping[str, Any]:
    """What is told of this one; the stack goes on meanwhile, and what it does may take its time too."""
    return next(session for session in sessions if session["pid"] == pid)


def wait_until_found(around: Surroundings, name: str, fact: str, pid: int) -> Check:
    """Look again until this check tells of that session; a fault needs a moment to grow old."""
    kept: list[Check] = []

    def look() -> bool:
        kept[:] = [named(examine(around, IMPATIENT), name)]
        return any(session["pid"] == pid for session in kept[0].facts.get(fact, ()))

    wait_until(look, f"{name} is found")
    return kept[0]


@pytest.mark.parametrize(
    ("database", "grant", "revoke", "check", "words"),
    [
        (
            "command",
            "GRANT UPDATE ON events TO twinlog_command_app",
            "REVOKE UPDATE ON events FROM twinlog_command_app",
            "rights.command",
            "may UPDATE public.events",
        ),
        (
            "command",
            "GRANT DELETE ON claims TO PUBLIC",
            "REVOKE DELETE ON claims FROM PUBLIC",
            "rights.command",
            "may DELETE public.claims",
        ),
        (
            "query",
            "GRANT DELETE ON public.audit_events TO twinlog_query_app",
            "REVOKE DELETE ON public.audit_events FROM twinlog_query_app",
            "rights.query",
            "may DELETE public.audit_events",
        ),
        (
            "vault",
            "GRANT INSERT ON subject_keys TO twinlog_vault_reader",
            "REVOKE INSERT ON subject_keys FROM twinlog_vault_reader",
            "rights.vault-reader",
            "may INSERT public.subject_keys",
        ),
        (
            "vault",
            "GRANT UPDATE (wrapped) ON subject_keys TO twinlog_vault_writer",
            "REVOKE UPDATE (wrapped) ON subject_keys FROM twinlog_vault_writer",
            "rights.vault-writer",
            "may UPDATE public.subject_keys",
        ),
        (
            "vault",
            "GRANT CONNECT ON DATABASE twinlog_vault TO twinlog_command_app",
            "REVOKE CONNECT ON DATABASE twinlog_vault FROM twinlog_command_app",
            "rights.command",
            "may connect to twinlog_vault",
        ),
        (
            "query",
            "GRANT CREATE ON SCHEMA blue TO twinlog_query_app",
            "REVOKE CREATE ON SCHEMA blue FROM twinlog_query_app",
            "rights.query",
            "may create tables in blue",
        ),
        (
            "command",
            "REVOKE SELECT ON events FROM twinlog_command_app",
            "GRANT SELECT ON events TO twinlog_command_app",
            "rights.command",
            "cannot read public.events",
        ),
    ],
)
def test_a_wrong_right_is_named(
    around: Surroundings, *, database: str, grant: str, revoke: str, check: str, words: str
) -> None:
    with psycopg.connect(way(around, database), autocommit=True) as owner:
        owner.execute(grant.encode())
        try:
            wrong = named(examine(around), check)
        finally:
            owner.execute(revoke.encode())
        right = named(examine(around), check)
    assert wrong.state is State.FOUND
    assert words in wrong.says
    assert right.state is State.FINE


def test_a_key_that_others_can_read_is_named(stack: Stack, around: Surroundings) -> None:
    file = stack.data / "secrets" / "command" / "twinlog_kek"
    file.chmod(0o644)
    try:
        check = named(examine(around), "keys.files")
    finally:
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert check.state is State.FOUND
    assert str(file) in check.says
    assert f"chmod go= {file}" in check.advice


@pytest.mark.e2e
def test_redis_from_another_log_is_named() -> None:
    """On a stack of its own, whose projector may halt; the relay, which would write its mark anew, stands still."""
    with running_stack() as stack:
        around = find(stack.data)
        url = around.redis_url()
        assert url
        relay = stack.pid_of("relay")
        os.kill(relay, signal.SIGSTOP)
        with redis.Redis.from_url(url) as client:
            client.set(MARK_KEY, Mark(epoch=99, head=10**9, last=(0,) * 8, at=0).encode())
            seen = {check.name: check for check in examine(around)}
        os.kill(relay, signal.SIGCONT)
    assert "in epoch 1, but Redis in 99" in seen["epoch"].says
    assert "twinlog epoch new" in seen["lag.relay"].advice
