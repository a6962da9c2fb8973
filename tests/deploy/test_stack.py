"""`twinlog up` as a person meets it: ready when it says so, back when something dies, gone when it goes."""

import json
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx2
import pytest

from deploy.local.child import Identity
from deploy.local.data_folder import DataFolder
from deploy.local.lodging import recorded_home
from tests.conftest import WHOLE_STACK_SECONDS
from tests.support.processes import identities, processes_of, user_id, wait_until
from tests.support.stack import Stack, await_ready, data_folder, start_up, twinlog

pytestmark = pytest.mark.e2e

PERSON = {"email": "ada@example.com", "password": "a long enough sentence 7", "name": "Ada"}


@pytest.fixture
def data() -> Iterator[Path]:
    with data_folder() as path:
        yield path


def addresses(stack: Stack) -> dict[str, str]:
    names = ("command", "query", "relay", "projector")
    return {name: getattr(stack, f"{name}_url") for name in names}


def test_ready_means_that_all_four_processes_are(stack: Stack) -> None:
    assert stack.is_ready()
    kept = json.loads((stack.data / "endpoints.json").read_text())
    assert list(kept) == ["command_url", "query_url", "relay_url", "projector_url", "data", "pid"]
    assert kept == {**asdict(stack), "data": str(stack.data)}
    assert stack.pids().keys() == {"postgres", "valkey", *addresses(stack)}


@pytest.mark.parametrize("name", ["command", "query", "relay", "projector", "postgres", "valkey"])
def test_a_killed_process_is_started_again_where_it_was(stack: Stack, name: str) -> None:
    killed = stack.pid_of(name)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: stack.pids()[name] not in {0, killed}, f"{name} is back")
    stack.settle()


def test_who_asks_for_a_stack_has_the_time_that_one_takes(stack: Stack, request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("timeout")
    assert marker.args == (WHOLE_STACK_SECONDS,)


def test_one_between_two_lives_is_never_named_as_process_0(tmp_path: Path) -> None:
    """A signal to that would hit every process of the test run."""
    folder, stack = DataFolder(tmp_path), Stack("", "", "", "", tmp_path, 0)
    folder.write_pids({"command": 0})
    revived = threading.Timer(0.3, folder.write_pids, [{"command": os.getpid()}])
    revived.start()
    assert stack.pid_of("command") == os.getpid()


def test_no_secret_is_readable_by_others(stack: Stack) -> None:
    assert stat.S_IMODE((stack.data / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((stack.data / "logs").stat().st_mode) == 0o700
    for file in (stack.data / "secrets").rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) in ({0o700} if file.is_dir() else {0o600})


def test_nothing_is_left_after_a_killed_supervisor_and_the_next_one_finds_the_data(data: Path) -> None:
    with start_up(data) as process:
        stack = await_ready(process)
        assert httpx2.post(f"{stack.command_url}/v1/users", json=PERSON).status_code == 201
        assert len(processes_of(data)) >= 12, "six children, each with its guard"
        process.kill()
        process.communicate()
    wait_until(lambda: not processes_of(data), "no process is left")
    with start_up(data) as process:
        stack = await_ready(process)
        again = httpx2.post(f"{stack.command_url}/v1/users", json=PERSON)
        assert again.status_code == 409, again.text
        process.send_signal(signal.SIGINT)
        complaint = process.communicate(timeout=60)[1]
    assert (process.returncode, complaint) == (0, "Stopped.\n")
    assert not processes_of(data)
    assert not (data / "endpoints.json").exists()


def test_a_signal_during_the_start_leaves_nothing(data: Path) -> None:
    with start_up(data) as process:
        wait_until((data / "logs" / "command.log").exists, "the services are being started")
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    wait_until(lambda: not processes_of(data), "no process is left")


def test_a_second_stack_in_the_same_folder_is_refused(stack: Stack) -> None:
    refused = twinlog("up", "--data", str(stack.data), "--json")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr == f"Another stack works in {stack.data} already (process {stack.pid}).\n"
    assert stack.is_ready()


def test_a_taken_port_is_replaced_and_the_background_stack_can_be_stopped_and_deleted(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = [word for name in ("query", "relay", "projector") for word in (f"--{name}-port", "0")]
        started = twinlog("up", "--data", str(data), "--detach", "--json", "--command-port", str(port), *ports)
    assert started.returncode == 0, started.stderr
    stack = Stack(**{**json.loads(started.stdout), "data": data})
    chosen = stack.command_url.rpartition(":")[2]
    assert started.stderr == f"Port {port} is taken; command listens on {chosen} instead.\n"
    assert stack.is_ready()
    stopped = twinlog("down", "--data", str(data), "--delete", "--json")
    assert json.loads(stopped.stdout) == {"ok": True, "stopped": True, "deleted": True}
    assert not data.exists()
    assert not processes_of(data)


def test_a_stack_runs_in_a_folder_that_others_cannot_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with start_up(closed / "data") as process:
        stack = await_ready(process)
        assert stack.is_ready()
        engine_home = recorded_home(stack.data / "postgres")
        assert (engine_home == stack.data / "postgres") == (os.geteuid() != 0)
        process.terminate()
        process.communicate(timeout=60)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert twinlog("down", "--data", str(closed / "data"), "--delete").returncode == 0
    assert not engine_home.exists()


@pytest.mark.parametrize("identity", identities("import deploy.cli"), ids=user_id)
def test_a_stack_belongs_to_the_user_who_starts_it(data: Path, identity: Identity | None) -> None:
    if identity is not None:
        os.chown(data.parent, identity.uid, identity.gid)
    with start_up(data, identity=identity) as process:
        assert await_ready(process).is_ready()
        process.terminate()
        process.communicate(timeout=60)
    assert data.stat().st_uid == (identity.uid if identity else os.geteuid())
    assert stat.S_IMODE((data / "secrets").stat().st_mode) == 0o700
