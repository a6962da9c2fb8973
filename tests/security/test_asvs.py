"""The table of OWASP ASVS says what the tests show, and names what they do not."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.security import asvs

LISTED = json.loads(asvs.LIST.read_text(encoding="utf-8"))

SOURCE = """
import pytest
pytestmark = [pytest.mark.unit, pytest.mark.asvs("V1.1.1")]

@pytest.mark.asvs("V6.2.1", "V6.2.9")
@pytest.mark.parametrize("x", [1])
def test_one(x): ...

class TestSome:
    @pytest.mark.asvs("V6.2.2")
    async def test_two(self): ...

@pytest.mark.long
def test_three(): ...
"""


def faults(row: dict[str, Any], marks: asvs.Marks, root: Path = asvs.ROOT) -> list[str]:
    listed = {"requirements": [{"id": "V1.1.1", "level": 1, "what": "something", **row}]}
    return asvs.faults_of(asvs.requirements_of(listed), marks, root)


def test_committed_table_is_the_one_of_the_list_and_the_markers() -> None:
    marks = asvs.marks_in()
    assert asvs.faults_of(asvs.requirements_of(LISTED), marks) == []
    assert asvs.DOCUMENT.read_text(encoding="utf-8") == asvs.written(LISTED, marks), "python -m tests.security.asvs"


def test_every_requirement_of_levels_one_and_two_is_listed() -> None:
    requirements = asvs.requirements_of(LISTED)
    assert [sum(each.level == level for each in requirements) for level in (1, 2)] == [70, 183]
    assert {each.chapter for each in requirements} == LISTED["chapters"].keys() == {f"V{n}" for n in range(1, 18)}


def test_markers_are_read_from_functions_methods_and_modules() -> None:
    assert sorted(asvs.marks_of(SOURCE, "t.py")) == [
        ("t.py", "V1.1.1"),
        ("t.py::test_one", "V6.2.1"),
        ("t.py::test_one", "V6.2.9"),
        ("t.py::test_two", "V6.2.2"),
    ]


def test_marker_with_an_unknown_id_is_found() -> None:
    marks = {"V1.1.1": ["a"], "V1.1.9": ["t.py::test_some"]}
    assert faults({}, marks) == ["t.py::test_some: there is no requirement V1.1.9"]


@pytest.mark.parametrize(
    ("row", "marks", "fault"),
    [
        ({}, {}, "needs a test or exactly one of"),
        ({"open": "this", "not applicable": "that"}, {}, "needs a test or exactly one of"),
        ({"open": " "}, {}, "does not say why"),
        ({"open": "this"}, {"V1.1.1": ["t.py::test_some"]}, "is open, and t.py::test_some shows it"),
        ({"not applicable": "this"}, {"V1.1.1": ["t.py::test_some"]}, "is not applicable, and"),
        ({"document": "docs/nowhere.md"}, {}, "names docs/nowhere.md, which does not exist"),
        ({"document": "docs"}, {}, "names docs, which does not exist"),
    ],
)
def test_requirement_of_doubtful_status_is_found(row: dict[str, Any], marks: asvs.Marks, fault: str) -> None:
    (found,) = faults(row, marks)
    assert found.startswith(f"V1.1.1 {fault}")


@pytest.mark.parametrize("row", [{"open": "this"}, {"not applicable": "that"}, {"document": "docs/README.md"}])
def test_requirement_with_one_status_and_no_test_is_fine(row: dict[str, Any]) -> None:
    assert faults(row, {}) == []


def test_requirement_that_is_listed_twice_is_found() -> None:
    row = {"id": "V1.1.1", "level": 1, "what": "something", "open": "this"}
    assert asvs.faults_of(asvs.requirements_of({"requirements": [row, row]}), {}) == ["V1.1.1 is listed 2 times"]


def test_table_counts_by_chapter_and_names_open_ones_first() -> None:
    rows = [
        {"id": "V1.1.1", "level": 1, "what": "one", "open": "this is missing"},
        {"id": "V1.1.2", "level": 2, "what": "two"},
        {"id": "V1.1.3", "level": 2, "what": "three", "document": "docs/security/x.md"},
    ]
    text = asvs.written(
        {"chapters": {"V1": "First"}, "requirements": rows}, {"V1.1.2": ["t.py::test_a", "t.py::test_b"]}
    )
    assert "| V1 First | 1 | 1 | 0 | 1 |" in text
    assert "| **level 1** | 0 | 0 | 0 | 1 |" in text
    assert text.index("| V1.1.1 | 1 | one | this is missing |") < text.index("## V1 First")
    assert "| V1.1.2 | 2 | two | `t.py::test_a`<br>`t.py::test_b` |" in text
    assert "| V1.1.3 | 2 | three | document: [x.md](x.md) |" in text
