"""The process group: ready means ready, the dead come back with a pause, nothing is left behind."""

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.child import Child, Program
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import FIRST_PAUSE, Process, ProcessFailed, ProcessGroup
from tests.support.processes import environment, processes_of, wait_until

pytestmark = pytest.mark.integration

SERVE = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.end_headers()
        self.wfile.write(b"the database is away")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


def program(folder: Path, code: str, *arguments: object, grace: float = 5.0) -> Program:
    return Program(
        argv=[sys.executable, "-c", code, *map(str, arguments)],
        env=environment(),
        cwd=folder,
        log=folder / "process.log",
        steps=((signal.SIGTERM, grace),),
    )


def server(folder: Path, name: str = "server", status: int = 200) -> Process:
    port = free_port()
    return Process(name, program(folder, SERVE, port, status), f"http://{LOOPBACK}:{port}/readyz")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def group(tmp_path: Path, said: list[str]) -> Iterator[ProcessGroup]:
    found = ProcessGroup([server(tmp_path, "first"), server(tmp_path, "second")], said.append)
    found.start()
    yield found
    found.stop()


def test_started_means_that_every_process_answers(tmp_path: Path, said: list[str]) -> None:
    processes = [server(tmp_path, "first"), server(tmp_path, "second")]
    group = ProcessGroup(processes, said.append)
    group.start()
    assert [httpx2.get(process.ready_url).status_code for process in processes] == [200, 200]
    group.stop()
    assert not processes_of(tmp_path)
    assert not said


def test_a_killed_process_comes_back_after_a_pause(group: ProcessGroup, said: list[str]) -> None:
    before = dict(group.pids())
    os.kill(before["second"], signal.SIGKILL)
    wait_until(lambda: group.pids()["second"] == 0, "the death is seen")
    group.revive()
    assert said == [f"second ended (137); it starts again in {FIRST_PAUSE:g} s."]
    assert group.pids()["second"] == 0, "not before its pause is over"

    def back() -> bool:
        group.revive()
        return group.pids()["second"] != 0

    wait_until(back, "the process is back")
    assert group.pids()["second"] != before["second"]
    assert group.pids()["first"] == before["first"]


def test_the_pause_doubles_while_a_process_keeps_dying(tmp_path: Path, said: list[str]) -> None:
    process = Process("unlucky", program(tmp_path, "raise SystemExit(7)"), "http://127.0.0.1:9/")
    group = ProcessGroup([process], said.append)
    process.start()
    for _ in range(3):
        wait_until(lambda: process.exit_code() is not None, "it has ended")
        group.revive()
        process.due = time.monotonic()  # the pause itself is over sooner in a test
        group.revive()
    group.stop()
    assert [sentence.rpartition(" in ")[2] for sentence in said] == ["0.25 s.", "0.5 s.", "1 s."]


def test_a_process_that_there_is_no_room_for_gets_another_turn(group: ProcessGroup, said: list[str]) -> None:
    """As when the machine can open no further file or has no memory for another process."""
    killed = group.pids()["second"]
    os.kill(killed, signal.SIGKILL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def cannot_be_started() -> bool:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            group.revive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return "second cannot be started: Too many open files." in said

    wait_until(cannot_be_started, "the start fails")
    assert group.pids()["first"] != 0

    def back() -> bool:
        group.revive()
        return group.pids()["second"] not in {0, killed}

    wait_until(back, "there is room again")
    assert f"it starts again in {2 * FIRST_PAUSE:g} s." in said[-1], "it is not tried without end"


def test_all_but_the_first_stop_together(tmp_path: Path, said: list[str]) -> None:
    first = Process("first", program(tmp_path, "import time; time.sleep(60)"), "http://127.0.0.1:9/")
    stubborn = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        stubborn.append(
            Process(str(number), program(tmp_path / str(number), STUBBORN, grace=3.0), "http://127.0.0.1:9/")
        )
    group = ProcessGroup([first, *stubborn], said.append)
    for process in (first, *stubborn):
        process.start()
    for process in stubborn:
        wait_until(lambda log=process.program.log: log.read_text() == "1\n", "it ignores signals")  # type: ignore[misc] # bound now
    began = time.monotonic()
    group.stop()
    assert time.monotonic() - began < sum(3.0 for _ in stubborn)
    assert not processes_of(tmp_path)


def test_a_process_that_ends_before_it_is_ready_is_quoted_and_the_others_stop(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "other").mkdir()
    broken = program(tmp_path / "other", "import sys; sys.exit('The database is away.')")
    group = ProcessGroup([server(tmp_path), Process("broken", broken, "http://127.0.0.1:9/")], said.append)
    with pytest.raises(ProcessFailed, match="broken did not start: The database is away") as failure:
        group.start()
    assert failure.value.exit_code == 1
    assert not processes_of(tmp_path)


def test_a_process_that_stays_unready_is_quoted(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.processes.READY_WITHIN", 0.5)
    group = ProcessGroup([server(tmp_path, status=503)], said.append)
    with pytest.raises(ProcessFailed, match=r"server was not ready within 0.5 s: the database is away"):
        group.start()
    assert not processes_of(tmp_path)


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    child = Child(program(tmp_path, STUBBORN, grace=0.3))
    wait_until(lambda: (tmp_path / "process.log").read_text() == "1\n", "it ignores signals")
    assert child.stop() == 128 + signal.SIGKILL


def test_a_child_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    child = Child(Program(["/nowhere/program"], env={}, cwd=tmp_path, log=tmp_path / "log"))
    assert child.pid == 0
    assert child.wait(10) == 127
    assert "/nowhere/program cannot be started" in (tmp_path / "log").read_text()


def test_what_a_child_has_started_itself_goes_with_it(tmp_path: Path) -> None:
    parent = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    child = Child(program(tmp_path, f"{parent}; time.sleep(60)"))
    wait_until(lambda: len(processes_of(tmp_path)) == 2, "both run")
    child.stop()
    wait_until(lambda: not processes_of(tmp_path), "both are gone")


def test_a_guard_told_to_end_ends_its_child_first(tmp_path: Path) -> None:
    child = Child(program(tmp_path, "import time; time.sleep(60)"))
    child._guard.terminate()
    assert child.wait(10) == 128 + signal.SIGTERM
    assert not processes_of(tmp_path)
