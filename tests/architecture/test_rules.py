"""Every rule holds in this repository, and every rule has been seen to fail."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.rules.catalogue import PROJECT, RULES
from tests.architecture.rules.source import PRODUCT

VIOLATIONS = Path(__file__).parent / "violations"
COPIED_FOLDERS = (*PRODUCT, "tests", "docs")
COPIED_FILES = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")

parametrize_rules = pytest.mark.parametrize("name", sorted(RULES))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository without its planted violations, to plant one at a time."""
    root = tmp_path_factory.mktemp("copy")
    leave_out = shutil.ignore_patterns("violations", "__pycache__", ".*")
    for folder in COPIED_FOLDERS:
        shutil.copytree(PROJECT / folder, root / folder, ignore=leave_out)
    for file in COPIED_FILES:
        shutil.copy2(PROJECT / file, root / file)
    return root


class Plant:
    """The files of one violation, laid over a copy of the repository and taken away again."""

    def __init__(self, copy: Path, violation: Path) -> None:
        self.copy, self.violation = copy, violation
        self.files = list(_planted_files(violation))
        self.replaced = {file: (copy / file).read_bytes() for file in self.files if (copy / file).exists()}
        self.made = [folder for folder in _folders_of(self.files) if not (copy / folder).exists()]

    def __enter__(self) -> None:
        for file in self.files:
            (self.copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.violation / file, self.copy / file)

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            (self.copy / file).unlink()
        for folder in self.made:
            shutil.rmtree(self.copy / folder)
        for file, content in self.replaced.items():
            (self.copy / file).write_bytes(content)


def _planted_files(violation: Path) -> Iterator[Path]:
    for file in violation.rglob("*"):
        if file.is_file() and file.name != "expected.txt":
            yield file.relative_to(violation)


def _folders_of(files: list[Path]) -> list[Path]:
    """The innermost first."""
    return sorted({folder for file in files for folder in file.parents}, reverse=True)


@parametrize_rules
def test_rule_holds_in_this_repository(name: str) -> None:
    faults = "\n".join(str(finding) for finding in RULES[name](PROJECT))
    assert not faults, faults


@parametrize_rules
def test_rule_names_file_and_fault_of_a_planted_violation(name: str, copy: Path) -> None:
    violation = VIOLATIONS / name
    expected = (violation / "expected.txt").read_text(encoding="utf-8").splitlines()
    clean = {str(finding) for finding in RULES[name](copy)}
    with Plant(copy, violation):
        found = {str(finding) for finding in RULES[name](copy)}
    assert sorted(found - clean) == expected


def test_every_rule_has_a_planted_violation_and_every_violation_a_rule() -> None:
    assert sorted(folder.name for folder in VIOLATIONS.iterdir() if folder.is_dir()) == sorted(RULES)
