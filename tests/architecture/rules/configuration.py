"""The checkers themselves stay strict: nobody loosens them in passing."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.architecture.rules.finding import Finding

REQUIRED_OPTIONS = frozenset({"--strict-markers", "--strict-config", "--allow-hosts=127.0.0.1,::1,localhost"})
FORGIVING_OPTIONS = re.compile(r"rerun|no:randomly")
LEFT_OUT = ("omit", "exclude_lines", "exclude_also")


def strict_configuration(root: Path) -> list[Finding]:
    """ruff selects everything, mypy is strict, warnings are errors, the network is closed, coverage omits nothing."""
    tools = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return [Finding("pyproject.toml", 0, "strict-configuration", fault) for fault in _faults(tools)]


def _faults(tools: dict[str, Any]) -> Iterator[str]:
    yield from _of_linters(tools["ruff"]["lint"], tools["mypy"])
    yield from _of_tests(tools["pytest"]["ini_options"])
    yield from _of_coverage(tools["coverage"])


def _of_linters(ruff: dict[str, Any], mypy: dict[str, Any]) -> Iterator[str]:
    if ruff["select"] != ["ALL"]:
        yield "ruff selects less than ALL"
    if ruff["mccabe"]["max-complexity"] > 8:
        yield "ruff accepts a complexity above 8"
    if mypy.get("strict") is not True or any(key.startswith("ignore_errors") for key in mypy):
        yield "mypy is not strict"
    if any("ignore_errors" in override for override in mypy["overrides"]):
        yield "a mypy override ignores errors"


def _of_tests(pytest: dict[str, Any]) -> Iterator[str]:
    if pytest["filterwarnings"][:1] != ["error"]:
        yield "warnings are not errors"
    if not pytest.get("xfail_strict"):
        yield "an expected failure may pass"
    yield from (f"pytest runs without {option}" for option in sorted(REQUIRED_OPTIONS - set(pytest["addopts"])))
    if FORGIVING_OPTIONS.search(" ".join(pytest["addopts"])):
        yield "tests are repeated, or run in a fixed order"


def _of_coverage(coverage: dict[str, Any]) -> Iterator[str]:
    if not coverage["run"].get("branch"):
        yield "coverage does not count branches"
    for section in coverage.values():
        yield from (f"coverage leaves code out with {key!r}" for key in LEFT_OUT if key in section)
