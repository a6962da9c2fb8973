"""A child process under a guard: it can be stopped, killed and waited for, and it never outlives this process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from deploy.local import guard


@dataclass(frozen=True, slots=True)
class Identity:
    """The unprivileged user a child runs as."""

    uid: int
    gid: int


class UserArguments(TypedDict, total=False):
    """The arguments of `subprocess` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


def as_user(identity: Identity | None) -> UserArguments:
    """`subprocess` arguments that run a program as that user, without any other groups."""
    return {"user": identity.uid, "group": identity.gid, "extra_groups": []} if identity else {}


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to end it.

    `steps` are pairs of a signal and the seconds it is given; SIGKILL follows. `keep` are file descriptors that stay
    open in the child (a lock stays held for as long as any process of it lives).
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    steps: Sequence[tuple[int, float]] = ((signal.SIGTERM, 20.0),)
    death_signal: int = signal.SIGKILL
    identity: Identity | None = None
    keep: Sequence[int] = ()

    def as_spec(self) -> str:
        """The guard's instructions; they are visible in the process list, so the environment is not among them."""
        return json.dumps(
            {
                "argv": list(self.argv),
                "cwd": str(self.cwd),
                "uid": self.identity and self.identity.uid,
                "gid": self.identity and self.identity.gid,
                "keep": list(self.keep),
                "steps": [[int(number), seconds] for number, seconds in self.steps],
                "death_signal": int(self.death_signal),
            }
        )


class Child:
    """One running program; `pid` is the program's own, not its guard's."""

    def __init__(self, program: Program) -> None:
        with program.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, program.as_spec()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(program.env),
                pass_fds=program.keep,
                start_new_session=True,
            )
        self._patience = sum(seconds for _, seconds in program.steps) + 60
        self.pid = self._announced_pid()

    def _announced_pid(self) -> int:
        """The first and only line of the guard; nothing at all means that the program could not be started."""
        if self._guard.stdout is None:  # pragma: no cover - asked for with PIPE above
            raise AssertionError
        with self._guard.stdout as answer:
            line = answer.readline()
        return int(line) if line else 0

    def exit_code(self) -> int | None:
        """None while it runs, then its exit code, or 128 plus the signal that ended it."""
        code = self._guard.poll()
        if code is not None:
            self.let_go()
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises `subprocess.TimeoutExpired`."""
        code = self._guard.wait(timeout)
        self.let_go()
        return code

    def stop(self) -> int:
        """End it in good order (what happens too when this process dies) and return its exit code."""
        self.let_go()
        return self._guard.wait(self._patience)

    def kill(self) -> int:
        """End it as a crash would: at once, without a word."""
        if self.pid and self._guard.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return self.wait(self._patience)

    def let_go(self) -> None:
        """Close our end of the pipe: the guard's sign to stop the child, for which nobody waits here."""
        if self._guard.stdin is not None:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
