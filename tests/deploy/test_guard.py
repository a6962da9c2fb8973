"""The guard by itself: it lives exactly as long as its child, and its child no longer than whoever holds the pipe."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import guard
from tests.support.processes import wait_until

pytestmark = pytest.mark.integration

SLEEP = "import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"


def start(folder: Path, *argv: str, grace: float = 5.0) -> "subprocess.Popen[bytes]":
    """A guard as a plain script; it writes where its child does."""
    spec = {
        "argv": argv,
        "cwd": str(folder),
        "uid": None,
        "gid": None,
        "keep": [],
        "steps": [[int(signal.SIGTERM), grace]],
        "death_signal": int(signal.SIGKILL),
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, guard.__file__, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def pid_of_child(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(("ending", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_it_ends_as_its_child_does(tmp_path: Path, ending: str, code: int) -> None:
    with start(tmp_path, sys.executable, "-c", ending) as process:
        assert process.wait(20) == code


def test_the_end_of_the_pipe_ends_the_child(tmp_path: Path) -> None:
    with start(tmp_path, sys.executable, "-c", SLEEP) as process:
        child = pid_of_child(process)
        process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert not is_alive(child)


def test_a_deaf_child_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    with start(tmp_path, sys.executable, "-c", STUBBORN, grace=0.2) as process:
        wait_until(lambda: (tmp_path / "log").read_text() == "deaf\n", "the child is deaf to signals")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGKILL
        process.communicate()


def test_a_killed_guard_takes_its_child_along(tmp_path: Path) -> None:
    with start(tmp_path, sys.executable, "-c", SLEEP) as process:
        child = pid_of_child(process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    wait_until(lambda: not is_alive(child), "the child is gone")


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with start(tmp_path, "/nowhere/program") as process:
        assert process.wait(20) == 127
        process.communicate()
    assert (tmp_path / "log").read_text().startswith("/nowhere/program cannot be started: ")
