"""A whole running stack for tests: the same `twinlog up` that a person types, in a data folder of its own."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from deploy.local.child import Identity
from tests.support.places import open_folder
from tests.support.processes import ROOT, interpreter_for, start_python, wait_until

ANY_PORTS = [word for name in ("command", "query", "relay", "projector") for word in (f"--{name}-port", "0")]
STOPS_WITHIN = 60
READY_WITHIN = 60.0
PATIENCE = 100.0
"""Seconds that a command may take, unless it is given more."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a running stack answers, and how to reach into it."""

    command_url: str
    query_url: str
    relay_url: str
    projector_url: str
    data: Path
    pid: int

    def pids(self) -> dict[str, int]:
        """The process ids of engines and services by name, as they are now."""
        found: dict[str, int] = json.loads((self.data / "processes.json").read_text())
        return found

    def pid_of(self, name: str) -> int:
        """The process id of one that lives. Between two lives it is waited for: a signal to 0 would hit the tests."""
        found = 0

        def lives() -> bool:
            nonlocal found
            found = self.pids().get(name, 0)
            return found != 0 and Path(f"/proc/{found}").exists()

        wait_until(lives, f"{name} lives", READY_WITHIN)
        return found

    @property
    def urls(self) -> tuple[str, ...]:
        return self.command_url, self.query_url, self.relay_url, self.projector_url

    def is_ready(self) -> bool:
        """Whether all four processes say so."""
        return all(_asked(url, "GET", "/readyz") == 200 for url in self.urls)

    def lets_in(self) -> bool:
        """Whether signing in can be counted, which is noticed only when somebody tries: here, one who is nobody."""
        form = {"grant_type": "password", "username": f"{uuid4().hex}@example.com", "password": "a guess"}
        return _asked(self.command_url, "POST", "/v1/token", urlencode(form)) == 400

    def settle(self) -> None:
        """Wait until nothing tells any more of what was done to it: the next test finds it as if new."""
        wait_until(lambda: self.is_ready() and self.lets_in(), "the stack is as if nothing had been", READY_WITHIN)

    def log(self, name: str) -> str:
        """What a service or an engine has written so far."""
        return (self.data / "logs" / f"{name}.log").read_text(errors="replace")

    def twinlog(self, *words: str, given: str = "", seconds: float = PATIENCE) -> "subprocess.CompletedProcess[str]":
        """Run a `twinlog` command against this stack."""
        return twinlog(*words, variables={"TWINLOG_DATA": str(self.data)}, given=given, seconds=seconds)


def _asked(url: str, method: str, path: str, form: str | None = None) -> int:
    """The status; 0 without an answer. Without the client that tests use: its set-up takes as long as ten answers."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    headers = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request(method, path, form, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def twinlog(
    *words: str,
    variables: Mapping[str, str] | None = None,
    given: str = "",
    cwd: Path = ROOT,
    seconds: float = PATIENCE,
) -> "subprocess.CompletedProcess[str]":
    """Run a `twinlog` command to its end, as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words],
        input=given,
        env={**os.environ, **(variables or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def start_up(
    data: Path, *words: str, identity: Identity | None = None, variables: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Start `twinlog up --json` on free ports, with these variables besides, and leave it to the caller."""
    return start_python(
        ["-m", "deploy.cli", "up", "--data", str(data), "--json", *(words or ANY_PORTS)],
        identity,
        interpreter_for(identity, "import deploy.cli") or sys.executable,
        variables,
    )


def await_ready(process: "subprocess.Popen[str]") -> Stack:
    """The addresses that `twinlog up --json` prints when it is ready; fails with what it said instead."""
    if process.stdout is None:
        raise AssertionError("start it with start_up")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"twinlog up ended with {process.wait(10)}: {process.communicate()[1]}")
    found: dict[str, Any] = json.loads(line)
    return Stack(**{**found, "data": Path(found["data"])})


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder that does not exist yet, in a place that an unprivileged user can enter."""
    with open_folder() as place:
        yield place / "data"


@contextmanager
def running_stack(variables: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack that is ready; it is stopped as Ctrl-C would, and must end without complaint."""
    with data_folder() as data, start_up(data, variables=variables) as process:
        try:
            yield await_ready(process)
        finally:
            process.terminate()
            complaint = process.communicate(timeout=STOPS_WITHIN)[1]
        if process.returncode != 0:
            raise AssertionError(f"twinlog up ended with {process.returncode}: {complaint}")
