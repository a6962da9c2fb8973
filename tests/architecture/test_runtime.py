"""The tests run in a hostile place: a warning, an unknown marker or a look at the outside network fails them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.rules.catalogue import PROJECT

CARELESS = """
import asyncio, socket, warnings
import pytest

def test_warning():
    warnings.warn("old", DeprecationWarning)

@pytest.mark.xfail
def test_unexpected_pass(): ...

def test_outside_network():
    socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_forgotten_await():
    async def forgotten(): ...
    forgotten()

def test_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
"""

UNKNOWN_MARKER = """
import pytest

@pytest.mark.quick
def test_it(): ...
"""


def run(folder: Path, test: str) -> str:
    """What pytest says to a planted test file under this project's own settings."""
    planted = folder / "test_planted.py"
    planted.write_text(test, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", ".", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-q", "-rA", str(planted)], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The summary line of each careless test by its name."""
    lines = run(tmp_path_factory.mktemp("careless"), CARELESS).splitlines()
    summary = [line for line in lines if line.startswith(("PASSED ", "FAILED ", "ERROR "))]
    return {line.partition("::test_")[2].partition(" ")[0]: line for line in summary}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("warning", "DeprecationWarning: old"),
        ("unexpected_pass", "[XPASS(strict)]"),
        ("outside_network", "A test tried to use socket.socke"),
        ("forgotten_await", "PytestUnraisableExceptionWarning"),
    ],
)
def test_careless_test_fails(verdict: dict[str, str], name: str, complaint: str) -> None:
    assert verdict[name].startswith("FAILED ")
    assert complaint in verdict[name]


def test_loopback_is_open(verdict: dict[str, str]) -> None:
    assert verdict["loopback"].startswith("PASSED ")


def test_unknown_marker_fails(tmp_path: Path) -> None:
    assert "'quick' not found in `markers`" in run(tmp_path, UNKNOWN_MARKER)
