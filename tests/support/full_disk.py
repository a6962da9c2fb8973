"""Taking the room away that a process writes to, and giving it back."""

import os
import subprocess
from pathlib import Path


def family(pid: int) -> list[int]:
    """A process and the children that it has now."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def fill_the_disk(pid: int) -> None:
    """No file of these processes may grow beyond its first byte; who starts them anew makes room again."""
    limit_files(pid, "1:1")


def limit_files(pid: int, limit: str) -> None:
    """Bound the size in bytes of every file that a process and its children write: `<soft>:<hard>`, or `<soft>:`."""
    owner = Path(f"/proc/{pid}").stat()  # only the user of a process may always limit it, even among privileged ones
    for each in family(pid):
        subprocess.run(
            ["prlimit", "--pid", str(each), f"--fsize={limit}"],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[] if os.geteuid() == 0 else None,
            capture_output=True,  # some may be gone by now
            check=each == pid,
        )
