"""The guard: a tiny process between a parent and one child, so that the child never outlives the parent.

Run as a script with the interpreter alone, no site-packages. Standard input is a pipe whose other end only the parent
holds: when the parent goes, however it goes, the pipe ends and the guard stops the child in good order. Should the
guard itself be killed, the kernel signals the child (Linux; a death signal is tied to the thread that forked, which is
why a process with one thread does the forking).
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

PR_SET_PDEATHSIG = 1


def tied_to_this_process(death_signal: int) -> Callable[[], None]:
    """What the child does between fork and exec; it runs after the change of user, which would clear the tie."""
    guard, prctl = os.getpid(), getattr(ctypes.CDLL(None), "prctl", None)

    def tie() -> None:  # pragma: no cover - runs in the forked child, where nothing can be measured
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    return tie


def spawn(spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """Start the child in a session of its own, as the wanted user, with only the descriptors it may keep."""
    who = {} if spec["uid"] is None else {"user": spec["uid"], "group": spec["gid"], "extra_groups": []}
    return subprocess.Popen(
        spec["argv"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        cwd=spec["cwd"],
        umask=0o077,
        pass_fds=spec["keep"],
        start_new_session=True,
        preexec_fn=tied_to_this_process(spec["death_signal"]),  # noqa: PLW1509 - this process has one thread
        **who,
    )


class Stopping:
    """Stops the child once, with ever harsher signals."""

    def __init__(self, child: "subprocess.Popen[bytes]", steps: Sequence[tuple[int, float]]) -> None:
        self._child = child
        self._steps = steps
        self._once = threading.Lock()

    def run(self) -> None:
        """Send each signal in turn and give the child its seconds; the last step is always SIGKILL."""
        if not self._once.acquire(blocking=False):
            return
        for number, seconds in [*self._steps, (signal.SIGKILL, 60.0)]:
            self._child.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
                return

    def when_the_parent_goes(self) -> None:
        while os.read(0, 64):
            pass
        self.run()


def main() -> int:
    """Run one child to its end and answer as a shell would: its exit code, or 128 plus the signal."""
    spec = json.loads(sys.argv[1])
    try:
        child = spawn(spec)
    except OSError as error:
        sys.stderr.write(f"{spec['argv'][0]} cannot be started: {error}\n")
        return 127
    stopping = Stopping(child, spec["steps"])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: threading.Thread(target=stopping.run, daemon=True).start())
    with suppress(BrokenPipeError):
        os.write(1, f"{child.pid}\n".encode())
    os.dup2(2, 1)
    threading.Thread(target=stopping.when_the_parent_goes, daemon=True).start()
    code = child.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
