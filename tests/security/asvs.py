"""Writes docs/security/asvs.md from asvs.json beside it and the tests' markers: `python -m tests.security.asvs`.

asvs.json lists every requirement of levels 1 and 2 in OWASP ASVS 5.0 (253 in 17 chapters) in our own words. One that
no test shows has exactly one of `document` (the file that does it), `not applicable` (why), `open` (what is missing).
"""

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = Path("docs/security")
DOCUMENT = ROOT / FOLDER / "asvs.md"
LIST = ROOT / FOLDER / "asvs.json"
STATUSES = ("document", "not applicable", "open")
COLUMNS = ("tested", *STATUSES)

INTRODUCTION = """\
# OWASP ASVS 5.0, levels 1 and 2

Made by `python -m tests.security.asvs` from [asvs.json](asvs.json) and the `asvs` markers of the tests; do not edit. \
What each requirement asks for is said here in a few words of our own, the standard says it in full. `document`: a \
file fulfils it. `not applicable`: there is nothing here that it could be about. `open`: not fulfilled, or not shown. \
Only what tests show is called tested; files of users do not exist yet.
"""

Marks = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of asvs.json; `statuses` are those of `STATUSES` that it has, with their text."""

    id: str
    level: int
    what: str
    statuses: Mapping[str, str]

    @property
    def chapter(self) -> str:
        return self.id.partition(".")[0]

    def status(self, marks: Marks) -> str:
        return "tested" if self.id in marks else next(iter(self.statuses))


def requirements_of(listed: Mapping[str, Any]) -> list[Requirement]:
    return [
        Requirement(row["id"], row["level"], row["what"], {name: row[name] for name in STATUSES if name in row})
        for row in listed["requirements"]
    ]


def marks_in(root: Path = ROOT) -> dict[str, list[str]]:
    """Which tests name which requirement: id to `file::test`, read from the source and in its order."""
    marks: dict[str, list[str]] = {}
    for file in sorted((root / "tests").rglob("test_*.py")):
        if "violations" not in file.parts:
            for name, requirement in marks_of(file.read_text(encoding="utf-8"), file.relative_to(root).as_posix()):
                marks.setdefault(requirement, []).append(name)
    return marks


def marks_of(source: str, file: str) -> Iterator[tuple[str, str]]:
    """Pairs of `file::test` and the id of a requirement; the file alone for a marker of the whole module."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                yield from ((f"{file}::{node.name}", each) for each in _ids(decorator))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark":
            yield from ((file, each) for node in ast.walk(statement.value) for each in _ids(node))


def _ids(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.asvs":
        yield from (ast.literal_eval(argument) for argument in node.args)


def faults_of(requirements: Sequence[Requirement], marks: Marks, root: Path = ROOT) -> list[str]:
    """Whatever keeps the table from being true, in words."""
    known = Counter(each.id for each in requirements)
    faults = [f"{tests[0]}: there is no requirement {each}" for each, tests in marks.items() if each not in known]
    faults += [f"{each} is listed {count} times" for each, count in known.items() if count > 1]
    return faults + [f"{each.id} {fault}" for each in requirements for fault in _faults(each, marks, root)]


def _faults(requirement: Requirement, marks: Marks, root: Path) -> Iterator[str]:
    tested, statuses = requirement.id in marks, requirement.statuses
    if tested and statuses:
        yield f"is {' and '.join(statuses)}, and {marks[requirement.id][0]} shows it"
    elif not tested and len(statuses) != 1:
        yield f"needs a test or exactly one of {', '.join(STATUSES)}"
    if any(not text.strip() for text in statuses.values()):
        yield "does not say why"
    if "document" in statuses and not (root / statuses["document"]).is_file():
        yield f"names {statuses['document']}, which does not exist"


def written(listed: Mapping[str, Any], marks: Marks) -> str:
    """The whole document. The list and the marks must be without faults."""
    requirements = requirements_of(listed)
    lines = [INTRODUCTION, *_summary(listed["chapters"], requirements, marks), "", *_open(requirements, marks)]
    for chapter, name in listed["chapters"].items():
        rows = [each for each in requirements if each.chapter == chapter]
        lines += ["", f"## {chapter} {name}", "", "| id | level | what | shown by |", "|---|---|---|---|"]
        lines += [f"| {each.id} | {each.level} | {each.what} | {_shown(each, marks)} |" for each in rows]
    return "\n".join(lines) + "\n"


def _summary(chapters: Mapping[str, str], requirements: Sequence[Requirement], marks: Marks) -> Iterator[str]:
    yield f"| chapter | {' | '.join(COLUMNS)} |"
    yield "|---" + "|---:" * len(COLUMNS) + "|"
    counts = Counter((each.chapter, each.status(marks)) for each in requirements)
    for chapter, name in chapters.items():
        yield f"| {chapter} {name} | {' | '.join(str(counts[chapter, column]) for column in COLUMNS)} |"
    for level in (1, 2):
        total = Counter(each.status(marks) for each in requirements if each.level == level)
        yield f"| **level {level}** | {' | '.join(str(total[column]) for column in COLUMNS)} |"


def _open(requirements: Sequence[Requirement], marks: Marks) -> Iterator[str]:
    yield "## Open"
    yield ""
    yield "| id | level | what | what is missing |"
    yield "|---|---|---|---|"
    for each in requirements:
        if each.status(marks) == "open":
            yield f"| {each.id} | {each.level} | {each.what} | {each.statuses['open']} |"


def _shown(requirement: Requirement, marks: Marks) -> str:
    if requirement.id in marks:
        return "<br>".join(f"`{test}`" for test in marks[requirement.id])
    ((status, text),) = requirement.statuses.items()
    return f"document: [{Path(text).name}]({_link(text)})" if status == "document" else f"{status}: {text}"


def _link(file: str) -> str:
    path = Path(file)
    return path.name if path.parent == FOLDER else f"../../{file}"


def main() -> None:
    listed = json.loads(LIST.read_text(encoding="utf-8"))
    marks = marks_in()
    if faults := faults_of(requirements_of(listed), marks):
        raise SystemExit("\n".join(faults))
    DOCUMENT.write_text(written(listed, marks), encoding="utf-8")


if __name__ == "__main__":
    main()
