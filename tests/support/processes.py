"""Looking at real processes: which are left, who may run our code, and waiting with a deadline."""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from deploy.local.child import Identity
from deploy.local.lodging import NOBODY

ROOT = Path(__file__).parents[2]
SITE_PACKAGES = Path(psycopg.__file__).parents[1]


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Look until something holds; fail with a sentence when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"After {seconds:g} s still not: {what}")
        time.sleep(0.02)


def processes_of(folder: Path) -> dict[int, str]:
    """The living processes that a folder occurs in: in their command line, their variables, or as where they work."""
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with suppress(OSError):
                line, variables = ((process / name).read_bytes() for name in ("cmdline", "environ"))
                told = line + variables + os.fsencode((process / "cwd").readlink())
                if line and os.fsencode(folder) in told:
                    found[int(process.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found


def environment() -> dict[str, str]:
    """Variables with which any interpreter of this version finds our code and its dependencies."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TWINLOG_")}
    return kept | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SITE_PACKAGES)]), "PYTHONDONTWRITEBYTECODE": "1"}


@functools.cache
def interpreter_for(identity: Identity | None, needed: str = "import deploy.local.engines") -> str | None:
    """An interpreter that a user can run what is needed with; None when there is none the user may read."""
    if identity is None:
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        with suppress(OSError):
            if run_python(["-c", needed], identity, candidate).returncode == 0:
                return candidate
    return None


def identities(needed: str = "import deploy.local.engines") -> list[Identity | None]:
    """Ourselves, and as root an ordinary user too where that user can run what is needed."""
    can_be_nobody = os.geteuid() == 0 and interpreter_for(NOBODY, needed) is not None
    return [None, NOBODY] if can_be_nobody else [None]


def user_id(identity: Identity | None) -> str:
    """The name of a test's variant."""
    return f"user-{identity.uid if identity else os.geteuid()}"


def run_python(
    arguments: Sequence[str], identity: Identity | None = None, interpreter: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    """Run Python as that user and keep what it says."""
    with start_python(arguments, identity, interpreter) as process:
        said, complained = process.communicate(timeout=100)
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def start_python(
    arguments: Sequence[str],
    identity: Identity | None = None,
    interpreter: str = sys.executable,
    variables: Mapping[str, str] | None = None,
) -> "subprocess.Popen[str]":
    """Start Python as that user, with these variables besides; whoever calls looks after the process."""
    return subprocess.Popen(
        [interpreter, *arguments],
        env={**environment(), **(variables or {})},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        user=identity.uid if identity else None,
        group=identity.gid if identity else None,
        extra_groups=[] if identity else None,
    )
