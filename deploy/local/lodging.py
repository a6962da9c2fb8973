"""Where an engine may live: as root it runs as somebody else, who must be able to enter its folder and its files.

Nothing here changes the permissions of a folder that exists. Where the wanted place is closed to that user (a clone in
root's home), the engine's data and a copy of its files go to a new folder elsewhere, and the two remember each other.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Identity, as_user

NOBODY = Identity(uid=65534, gid=65534)
ELSEWHERE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - a private folder is made inside with mkdtemp
LOCATION = "location"  # in the wanted folder: where the data really are
TENANT = "belongs-to"  # in that place: which folder it stands in for


class EngineUnavailable(Exception):
    """An embedded engine cannot run here."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """The files of an engine as its wheel installed them: a program and the parts it needs, relative to `root`."""

    root: Path
    parts: Sequence[str]
    program: str
    version: str


def _runs(command: Sequence[str], identity: Identity | None) -> bool:
    """Whether that user can really do it: modes, access lists and mount options are all asked at once."""
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, timeout=30, check=False, cwd="/", **as_user(identity))
        return done.returncode == 0
    return False


def can_enter(folder: Path, identity: Identity | None) -> bool:
    """Whether that user can step into a folder."""
    return _runs(["/bin/sh", "-c", 'cd "$0"', str(folder)], identity)


def can_run(program: Path, identity: Identity | None) -> bool:
    """Whether that user can run a program with the libraries it needs."""
    return _runs([str(program), "--version"], identity)


def identity_for(data: Path) -> Identity | None:
    """Whom to run as: oneself, unless one is root; then the owner of existing data, else `NOBODY`."""
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError, NotADirectoryError):
        owner = data.stat()
        if owner.st_uid != 0:
            return Identity(owner.st_uid, owner.st_gid)
    return NOBODY


def recorded_home(folder: Path) -> Path:
    """Where the data of an engine's folder are."""
    record = folder / LOCATION
    return Path(record.read_text().strip()) if record.exists() else folder


def home_of(folder: Path, identity: Identity | None) -> Path:
    """The folder that holds the engine's data and copies: `folder` itself, or the place recorded in it.

    Creates what is missing. Raises `EngineUnavailable` when the recorded place is gone, belongs to another folder, or
    no place is to be had, and `OSError` when `folder` cannot be written.
    """
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o700 if identity is None else 0o711)
    home = recorded_home(folder)
    if home != folder:
        return _checked(folder, home)
    if can_enter(folder, identity):
        return folder
    home = _elsewhere(identity)
    (home / TENANT).write_text(f"{folder.resolve()}\n")
    (folder / LOCATION).write_text(f"{home}\n")
    return home


def _checked(folder: Path, home: Path) -> Path:
    if not home.is_dir():
        raise EngineUnavailable(f"The data of {folder} were kept in {home}, and that folder is gone.")
    tenant = Path((home / TENANT).read_text().strip())
    if tenant != folder.resolve():
        if (tenant / LOCATION).exists():
            raise EngineUnavailable(f"{folder} is a copy: the data in {home} belong to {tenant}.")
        (home / TENANT).write_text(f"{folder.resolve()}\n")
    return home


def _elsewhere(identity: Identity | None) -> Path:
    candidates = (*ELSEWHERE, Path(tempfile.gettempdir()))
    for candidate in candidates:
        with suppress(OSError):
            home = Path(tempfile.mkdtemp(prefix="twinlog-", dir=candidate))
            home.chmod(0o711)
            if can_enter(home, identity):
                return home
            home.rmdir()
    tried = ", ".join(map(str, candidates))
    raise EngineUnavailable(f"An unprivileged user can enter none of the folders tried for the engine's data: {tried}.")


def private_folder(path: Path, identity: Identity | None) -> Path:
    """A folder of that user alone, made if it is missing."""
    if not path.exists():
        path.mkdir(mode=0o700)
        give(path, identity)
    return path


def give(path: Path, identity: Identity | None) -> None:
    """Hand a file or folder that was just made to the user the engine runs as."""
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)


def runnable(wheel: Wheel, home: Path, identity: Identity | None) -> Path:
    """The engine's program where that user can run it: in place, else in a copy below `home`."""
    in_place = wheel.root / wheel.program
    if can_run(in_place, identity):
        return in_place
    copy = home / f"programs-{wheel.version}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for part in wheel.parts:
            shutil.copytree(wheel.root / part, unfinished / part, ignore=shutil.ignore_patterns("include"))
        _open_for_reading(unfinished)
        unfinished.rename(copy)
    if not can_run(copy / wheel.program, identity):
        raise EngineUnavailable(f"{copy / wheel.program} cannot be run by user {identity and identity.uid}.")
    return copy / wheel.program


def _open_for_reading(root: Path) -> None:
    """Let everybody read our own new copy, whatever the umask was."""
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def remove(folder: Path) -> None:
    """Delete an engine's folder, and the place elsewhere if it is this folder's own."""
    home = recorded_home(folder)
    with suppress(FileNotFoundError):
        if (home / TENANT).read_text().strip() == str(folder.resolve()):
            shutil.rmtree(home)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
