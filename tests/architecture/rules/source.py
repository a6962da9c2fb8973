"""Reading Python sources: each file once, parsed once, however many rules look at it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PRODUCT = ("command_service", "query_service", "shared_kernel", "deploy")
EVERYTHING = (*PRODUCT, "tests")
_SKIPPED = {"__pycache__", "violations"}


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its path relative to the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The dotted name under which it is imported."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def sources(root: Path, packages: tuple[str, ...] = PRODUCT) -> Iterator[Source]:
    """All Python files of the packages, in a stable order, without planted violations."""
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            path = file.relative_to(root)
            if _SKIPPED.isdisjoint(path.parts):
                text = file.read_text(encoding="utf-8")
                yield Source(path.as_posix(), text, _parsed(text))


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and value of every string in the code, f-strings with `{}` for what is filled in, but no docstring."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                inner.add(id(docstring))
            case ast.JoinedStr(values=parts):
                inner.update(map(id, parts))
                yield node.lineno, "".join(map(_text, parts))
            case ast.Constant(value=str(text)) if id(node) not in inner:
                yield node.lineno, text


def _text(part: ast.expr) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case _:
            return "{}"


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything imported, at the top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module or ''}.{alias.name}") for alias in node.names)


def within(name: str, packages: frozenset[str]) -> bool:
    """Whether a dotted name is one of the packages or lies inside one."""
    parts = name.split(".")
    return any(".".join(parts[: n + 1]) in packages for n in range(len(parts)))
