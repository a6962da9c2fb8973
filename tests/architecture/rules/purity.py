"""The domain and the projections know rules and events only: no clock, no chance, no input, no output."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding
from tests.architecture.rules.source import PRODUCT, Source, imports, sources, within

PURE = ("domain", "commands", "projection")

WORLDLY = frozenset(
    {
        *("asyncio", "concurrent", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
        *("select", "shutil", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time"),
        *("urllib.request", "uuid.uuid1", "uuid.uuid4", "uuid_utils"),
    }
)
"""Modules and functions of the standard library that ask the world outside."""

LIBRARIES = frozenset(
    {"pydantic", "pydantic_core", "annotated_types", "email_validator", "orjson", "typing_extensions"}
)
KERNEL = frozenset({f"shared_kernel.{part}" for part in ("events", "errors", "ids", "clock", "text")})
OWN = frozenset({"query_service.infrastructure.projection"})

_CLOCKS = frozenset({"now", "utcnow", "today"})
_WORLDLY_CALLS = frozenset({"open", "print", "input", "exec", "eval"})


def pure_rules(root: Path) -> list[Finding]:
    """`domain`, `commands` and `projection` import pure code only, and ask neither the clock nor chance."""
    return [
        Finding(source.path, line, "pure-rules", message)
        for source in sources(root)
        if _is_pure(source)
        for line, message in (*_worldly_imports(source), *_worldly_calls(source.tree))
    ]


def _is_pure(source: Source) -> bool:
    parts = source.module.split(".")
    return parts[1:2] == ["features"] and parts[3:4] != [] and parts[3] in PURE


def _worldly_imports(source: Source) -> Iterator[tuple[int, str]]:
    feature = ".".join(source.module.split(".")[:3])
    for line, name in imports(source.tree):
        if not _is_pure_import(name, frozenset({feature})):
            yield line, f"imports {name}, which is not for pure code"


def _is_pure_import(name: str, feature: frozenset[str]) -> bool:
    top = name.split(".", maxsplit=1)[0]
    if top in PRODUCT:
        return within(name, feature | KERNEL | OWN)
    return not within(name, WORLDLY) and (top in LIBRARIES or top in sys.stdlib_module_names)


def _worldly_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in _CLOCKS:
                yield node.lineno, f"asks the clock with {name}(); time comes in as an argument"
            case ast.Call(func=ast.Name(id=name)) if name in _WORLDLY_CALLS:
                yield node.lineno, f"calls {name}(), which reaches outside"
