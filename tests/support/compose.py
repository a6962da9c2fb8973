"""A set of containers of a test's own: another project name, free ports, removed with its volumes at the end."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deploy.local import ports
from tests.support.processes import ROOT

UP_WITHIN = 600


@dataclass(frozen=True, slots=True)
class Containers:
    """One `docker compose` project."""

    project: str
    version: str
    command_port: int
    query_port: int

    @property
    def command_url(self) -> str:
        return f"http://127.0.0.1:{self.command_port}"

    @property
    def query_url(self) -> str:
        return f"http://127.0.0.1:{self.query_port}"

    def compose(self, *words: str, version: str | None = None, given: str | None = None) -> str:
        """What `docker compose <words>` prints; fails with what it complains about."""
        variables = {
            "TWINLOG_VERSION": version or self.version,
            "TWINLOG_COMMAND_PORT": str(self.command_port),
            "TWINLOG_QUERY_PORT": str(self.query_port),
        }
        return run("docker", "compose", "--project-name", self.project, *words, variables=variables, given=given)

    def twinlog(self, *words: str, given: str | None = None) -> str:
        """Run a `twinlog` command the way the README says for containers."""
        return self.compose("run", "--rm", "--no-TTY", "operator", "twinlog", *words, given=given)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", self.container(service)))
        return found[0]


@contextmanager
def containers(version: str) -> Iterator[Containers]:
    """Nothing is started yet; whatever the test starts is gone at the end, data included."""
    free = ports.choose(ports.LOOPBACK, {"command": 0, "query": 0}, print)
    made = Containers(f"twinlog-{secrets.token_hex(4)}", version, free["command"], free["query"])
    try:
        yield made
    finally:
        made.compose("--profile", "tools", "down", "--volumes", "--remove-orphans", "--timeout", "20")


def run(*words: str, variables: dict[str, str] | None = None, given: str | None = None) -> str:
    """What a program prints; fails with the last of what it complains about."""
    ended = subprocess.run(
        words,
        input=given,
        env={**os.environ, **(variables or {})},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=UP_WITHIN,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr[-3000:]}"
    return ended.stdout
