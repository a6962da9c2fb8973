"""The import contracts of pyproject.toml, each one a rule of its own, checked by import-linter itself."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding, Rule

_LINK = re.compile(r"^- +(\S+) -> (\S+) \(l\.(\d+)")
_CHAIN = re.compile(r"^ +\S+ -> (\S+) \(l\.")
_UNLISTED = re.compile(r"^- (\S+)$")
_CYCLE = re.compile(r"^- \.(\S+) -> \.(\S+) \(\d+ imports?\)")
_ANCESTOR = re.compile(r"^No cycles are allowed in (\S+)\.$")


def contract_ids(root: Path) -> list[str]:
    """The ids of all contracts, in the order of pyproject.toml."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]]


def contract(name: str) -> Rule:
    """The rule that runs import-linter for one contract on the tree under a root."""

    def check(root: Path) -> list[Finding]:
        status, output = _lint(root, name)
        found = sorted(set(_read(root, name, output.splitlines())))
        if status and not found:  # a contract that cannot be checked is not kept
            found = [Finding("pyproject.toml", 0, name, " ".join(output.split()))]
        return found

    check.__doc__ = f"The contract {name} of pyproject.toml."
    return check


def _lint(root: Path, name: str) -> tuple[int, str]:
    command = (sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()")
    options = ("--config", "pyproject.toml", "--contract", name, "--no-cache", "--no-logo")
    done = subprocess.run(
        [*command, *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "1000", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _read(root: Path, rule: str, lines: list[str]) -> Iterator[Finding]:
    ancestor = ""
    for number, line in enumerate(lines):
        if match := _LINK.match(line):
            importer, imported, at = match.groups()
            yield Finding(
                _file(root, importer), int(at), rule, f"imports {' -> '.join(_chain(imported, lines, number))}"
            )
        elif match := _CYCLE.match(line):
            yield Finding(_file(root, ancestor), 0, rule, f"{match[1]} and {match[2]} need each other")
        elif match := _UNLISTED.match(line):
            yield Finding(_file(root, match[1]), 0, rule, f"{match[1]} has no place in the layers")
        elif match := _ANCESTOR.match(line):
            ancestor = match[1]


def _chain(imported: str, lines: list[str], number: int) -> Iterator[str]:
    yield imported
    for line in lines[number + 1 :]:
        if not (match := _CHAIN.match(line)):
            return
        yield match[1]


def _file(root: Path, module: str) -> str:
    path = module.replace(".", "/")
    return f"{path}.py" if (root / f"{path}.py").exists() else path
