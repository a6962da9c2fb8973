"""Small modules, small functions, plain control flow, telling names, one sentence on each module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.architecture.rules.finding import Finding
from tests.architecture.rules.source import EVERYTHING, PRODUCT, Source, sources

MODULE_LINES = 300
FUNCTION_LINES = 40
COMPLEXITY = 8

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

VAGUE = frozenset({"util", "utils", "helper", "helpers", "common", "commons", "manager", "managers", "base", "misc"})
SHADOWING = frozenset({"types", "logging", "platform"})
_VAGUE_CLASS = re.compile(r"(Manager|Helper|Helpers|Util|Utils)$")


def module_size(root: Path) -> list[Finding]:
    """A module has at most 300 lines; what outgrows that becomes a package of the same name."""
    return [
        Finding(source.path, 0, "module-size", f"{lines} lines, at most {MODULE_LINES}")
        for source in sources(root, EVERYTHING)
        if (lines := _lines(source)) > MODULE_LINES
    ]


def function_size(root: Path) -> list[Finding]:
    """A function has at most 40 lines, signature and docstring included."""
    return [
        Finding(source.path, function.lineno, "function-size", f"{function.name}: {lines} lines, at most 40")
        for source in sources(root, EVERYTHING)
        for function in functions(source.tree)
        if (lines := _length(function)) > FUNCTION_LINES
    ]


def complexity(root: Path) -> list[Finding]:
    """At most 8 ways through a function: one, and one more per branch, loop, handler, case, `and`, `or`, filter.

    Comprehensions count as loops here and `and`, `or` as branches, which ruff's own measure (for tests too) leaves out.
    """
    return [
        Finding(source.path, function.lineno, "complexity", f"{function.name}: {ways} ways, at most {COMPLEXITY}")
        for source in sources(root, PRODUCT)
        for function in functions(source.tree)
        if (ways := _ways(function)) > COMPLEXITY
    ]


def telling_names(root: Path) -> list[Finding]:
    """No module is called utils or like a module of the standard library, no class is a Manager."""
    return [
        finding for source in sources(root, EVERYTHING) for finding in (*_vague_path(source), *_vague_classes(source))
    ]


def module_docstring(root: Path) -> list[Finding]:
    """Every module says in one sentence what it is; more may follow after a blank line."""
    return [
        Finding(source.path, 1, "module-docstring", "no sentence that says what this module is")
        for source in sources(root, EVERYTHING)
        if not _sentence(ast.get_docstring(source.tree))
    ]


def medians(root: Path) -> dict[str, tuple[float, int]]:
    """Median and maximum of lines per module, lines per function and ways through a function, tests excluded."""
    product = list(sources(root, PRODUCT))
    every = [function for source in product for function in functions(source.tree)]
    figures = {
        "lines per module": [_lines(source) for source in product],
        "lines per function": [_length(function) for function in every],
        "ways through a function": [_ways(function) for function in every],
    }
    return {name: (median(values), max(values)) for name, values in figures.items()}


def functions(tree: ast.Module) -> Iterator[AnyFunction]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, AnyFunction))


def _lines(source: Source) -> int:
    return len(source.text.splitlines())


def _length(function: AnyFunction) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _ways(function: AnyFunction) -> int:
    return 1 + sum(_forks(node) for node in ast.walk(function))


def _forks(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.IfExp() | ast.For() | ast.AsyncFor() | ast.While() | ast.ExceptHandler():
            return 1
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.Match():
            return len(node.cases) - 1
        case _:
            return 0


def _vague_path(source: Source) -> Iterator[Finding]:
    for part in Path(source.path).with_suffix("").parts:
        if part in SHADOWING or not VAGUE.isdisjoint(part.split("_")):
            yield Finding(source.path, 0, "telling-names", f"{part!r} does not say what is inside")


def _vague_classes(source: Source) -> Iterator[Finding]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and _VAGUE_CLASS.search(node.name):
            yield Finding(source.path, node.lineno, "telling-names", f"class {node.name} does not say what it is")


def _sentence(docstring: str | None) -> bool:
    summary = (docstring or "").split("\n\n")[0].strip()
    return len(summary.split()) > 1 and summary[-1] in ".!?:"
