"""A pytest plugin that counts the collected tests by level: `pytest -p tests.architecture.census --collect-only`."""

import json
from collections import Counter
from pathlib import Path

import pytest

LEVELS = ("unit", "integration", "e2e")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--census", type=Path, help="where to write the counts, as JSON")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    counts = Counter(level for item in session.items for level in LEVELS if item.get_closest_marker(level))
    session.config.getoption("--census").write_text(json.dumps(counts), encoding="utf-8")


def unit_share(counts: dict[str, int]) -> float:
    """Unit tests among all tests, 0 to 1; a suite without tests has none."""
    return counts.get("unit", 0) / max(sum(counts.values()), 1)
