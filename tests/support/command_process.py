"""The command service as a process of its own, started as an operator would, with everything it says kept."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.support.cluster import Database, Vault
from tests.support.processes import ROOT, wait_until

STOPS_WITHIN = 20


def variables_of(command: Database, vault: Vault, **further: str) -> dict[str, str]:
    """Settings under which the service runs on a free port."""
    return {
        "TWINLOG_ENV": "development",
        "TWINLOG_COMMAND_DATABASE_URL": command.app_url,
        "TWINLOG_VAULT_DATABASE_URL": vault.writer_url,
        "TWINLOG_COMMAND_PORT": "0",
        **further,
    }


def start(variables: Mapping[str, str], module: str = "command_service") -> "subprocess.Popen[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TWINLOG_")}
    return subprocess.Popen(
        [sys.executable, "-m", module],
        env={**kept, **variables},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(slots=True)
class CommandProcess:
    """A running service; `said` is everything it has written so far."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines]

    @property
    def url(self) -> str:
        port = next(line["port"] for line in self.log if line["event"] == "listening")
        return f"http://127.0.0.1:{port}"

    def stop(self) -> int:
        """As an operator would; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPS_WITHIN)


@contextmanager
def command_process(variables: Mapping[str, str], module: str = "command_service") -> Iterator[CommandProcess]:
    """A process that is ready; it is killed if the test has not stopped it."""
    with start(variables, module) as process:
        running = CommandProcess(process)
        reader = threading.Thread(target=_keep, args=(process, running.lines), daemon=True)
        reader.start()
        try:
            wait_until(lambda: "listening" in running.said or process.poll() is not None, "the service listens")
            yield running
        finally:
            process.kill()
            reader.join(STOPS_WITHIN)


def _keep(process: "subprocess.Popen[str]", lines: list[str]) -> None:
    for line in process.stderr or ():
        lines.append(line)  # noqa: PERF402 - line by line, as they come: `extend` would hold them back
