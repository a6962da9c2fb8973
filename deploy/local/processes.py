"""Keeping a set of programs running: started together, waited for, restarted when they die, stopped in order."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx2

from deploy.local.child import Child, Program

READY_WITHIN = 60.0
LOOK_EVERY = 0.05
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0


class ProcessFailed(Exception):
    """A process of the stack did not become ready."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(slots=True)
class Process:
    """One program that is to run all the time."""

    name: str
    program: Program
    ready_url: str
    child: Child | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = field(default=0.0)

    def start(self) -> None:
        """Raises OSError when the machine has no room for it."""
        self.started = time.monotonic()
        self.child = Child(self.program)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self.child is None else self.child.exit_code()


class ProcessGroup:
    """The programs of a stack, in the order in which they start; `announce` is told what a person should know."""

    def __init__(self, processes: Sequence[Process], announce: Callable[[str], None]) -> None:
        self._processes = processes
        self._announce = announce

    def start(self) -> None:
        """Start all and return when each says that it is ready. Raises `ProcessFailed`; the others are stopped then."""
        try:
            for process in self._processes:
                process.start()
            for process in self._processes:
                self._await_ready(process)
        except BaseException:
            self.stop()
            raise

    def pids(self) -> Mapping[str, int]:
        """The process ids by name; 0 stands for one that is between two lives."""
        return {
            process.name: process.child.pid if process.child and process.exit_code() is None else 0
            for process in self._processes
        }

    def revive(self) -> None:
        """Start again what has died, each after its own pause, which doubles until it stays alive for a minute."""
        now = time.monotonic()
        for process in self._processes:
            if process.exit_code() is None:
                continue
            if process.due == 0.0:
                self._schedule(process, now)
            elif now >= process.due:
                self._start_again(process)

    def stop(self) -> None:
        """End all in good order: the first, which feeds the others, and then these together."""
        children = [process.child for process in self._processes if process.child is not None]
        for child in children[:1]:
            child.stop()
        for child in children[1:]:
            child.let_go()
        for child in children[1:]:
            child.stop()

    def _start_again(self, process: Process) -> None:
        """What the machine has no room for now gets another turn; the others must not go down with it."""
        process.due = 0.0
        try:
            process.start()
        except OSError as error:
            self._announce(f"{process.name} cannot be started: {error.strerror}.")

    def _schedule(self, process: Process, now: float) -> None:
        if now - process.started > HEALTHY_AFTER:
            process.pause = FIRST_PAUSE
        process.due = now + process.pause
        self._announce(f"{process.name} ended ({process.exit_code()}); it starts again in {process.pause:g} s.")
        process.pause = min(process.pause * 2, LONGEST_PAUSE)

    def _await_ready(self, process: Process) -> None:
        deadline = time.monotonic() + READY_WITHIN
        said = "no answer"
        while time.monotonic() < deadline:
            code = process.exit_code()
            if code is not None:
                raise ProcessFailed(f"{process.name} did not start: {last_line(process)}", code)
            said = _not_ready(process.ready_url)
            if not said:
                return
            time.sleep(LOOK_EVERY)
        raise ProcessFailed(f"{process.name} was not ready within {READY_WITHIN:g} s: {said}", 3)


def _not_ready(url: str) -> str:
    """Why a process is not ready yet, in its own words; empty when it is."""
    try:
        answer = httpx2.get(url, timeout=5)
    except httpx2.HTTPError as error:
        return f"{url} does not answer ({error})"
    return "" if answer.status_code == 200 else answer.text


def last_line(process: Process) -> str:
    """The last thing a process wrote to its log that has words in it (not the mark below a line of source)."""
    lines = process.program.log.read_text(errors="replace").splitlines()
    with_words = (line for line in reversed(lines) if any(sign.isalpha() for sign in line))
    return next(with_words, f"it wrote nothing to {process.program.log}")
