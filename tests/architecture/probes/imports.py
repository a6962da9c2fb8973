"""Imports every module of the tree in the current folder and prints, as JSON, what happened meanwhile.

Runs in a process of its own: `python <this file> <root>`. Each entry is [path, line, message].
"""

import ast
import importlib
import json
import os
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

PRODUCT = ("command_service", "query_service", "shared_kernel", "deploy")
PREPARED_BY_ALEMBIC = ("migrations", "vault_migrations")

DEEDS = {
    "socket.connect": "connects a socket",
    "socket.bind": "binds a socket",
    "socket.getaddrinfo": "resolves a host name",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "forks",
    "os.mkdir": "makes a folder",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "_thread.start_new_thread": "starts a thread",
}

LIVE_PARTS = frozenset({"BaseConnection", "BasePool", "AbstractRedis", "BaseClient", "Starlette", "Engine", "Executor"})
SETTINGS = "BaseSettings"


class HappenedAtImport(Exception):
    """Raised instead of the deed, so that a planted violation does no harm."""


class Probe:
    """Listens to the interpreter's audit events while modules are imported."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[tuple[str, int, str]] = []

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        deed = DEEDS.get(event) or ("writes a file" if event == "open" and _writes(args) else None)
        if deed is None:
            return
        frame = self._innermost(sys._getframe())
        if frame is not None:
            path = Path(frame.f_code.co_filename).relative_to(self.root)
            self.found.append((path.as_posix(), frame.f_lineno, f"{deed} when it is imported"))
            raise HappenedAtImport

    def visit(self, file: Path) -> None:
        path = file.relative_to(self.root)
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        known = len(self.found)
        try:
            module = importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever hinders the import is the finding
            if len(self.found) == known and not isinstance(error, HappenedAtImport):
                self.found.append((path.as_posix(), 0, f"cannot be imported: {type(error).__name__}: {error}"))
        else:
            self._look_into(path.as_posix(), file, module)

    def _look_into(self, path: str, file: Path, module: ModuleType) -> None:
        for line, name in _assigned(ast.parse(file.read_text(encoding="utf-8"))):
            part = {cls.__name__ for cls in type(getattr(module, name, None)).__mro__} & (LIVE_PARTS | {SETTINGS})
            if part:
                self.found.append((path, line, f"holds a live part at module level: {name}"))

    def _innermost(self, frame: FrameType | None) -> FrameType | None:
        own = Path(__file__).resolve()
        while frame is not None:
            file = Path(frame.f_code.co_filename)
            if file != own and file.is_relative_to(self.root) and ".venv" not in file.parts:
                return frame
            frame = frame.f_back
        return None


def _writes(args: tuple[Any, ...]) -> bool:
    _path, mode, flags = args
    if isinstance(mode, str):
        return not set(mode).isdisjoint("wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _assigned(tree: ast.Module) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found.extend((node.lineno, target.id) for target in targets if isinstance(target, ast.Name))
    return found


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    probe = Probe(root)
    sys.addaudithook(probe.hear)
    for package in PRODUCT:
        for file in sorted((root / package).rglob("*.py")):
            if not set(file.relative_to(root).parts) & set(PREPARED_BY_ALEMBIC):
                probe.visit(file)
    print(json.dumps(sorted(set(probe.found))))  # noqa: T201 - the answer to the test that started this


if __name__ == "__main__":
    main()
