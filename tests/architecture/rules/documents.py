"""Documents that can be trusted: links lead somewhere, decisions name their guard, commands exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding

DECISIONS = Path("docs/decisions")
INDEX = "README.md"
SECTIONS = ("## Context", "## Decision", "## Consequences", "## Guarded by")

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_OUTSIDE = re.compile(r"^[a-z][a-z0-9+.-]*:")
_FENCE = re.compile(r"^(```|~~~)")
_HEADING = re.compile(r"^#{1,6}\s+(.*)$")
_NUMBERED = re.compile(r"^(\d{4})-[a-z0-9-]+\.md$")
_QUOTED_PATH = re.compile(r"`(tests/[^`:]+)(?:::\w+)?`")
_MAKE = re.compile(r"(?:^|[`;&(]\s*)make\s+([a-z][\w-]*)", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][\w-]*)\s*:(?!=)", re.MULTILINE)


def links_resolve(root: Path) -> list[Finding]:
    """Every relative link in a document leads to a file of this repository, and to a heading where it names one."""
    return [
        Finding(document.relative_to(root).as_posix(), line, "links-resolve", f"{target} leads nowhere")
        for document in documents(root)
        for line, target in _links(document)
        if not _leads_somewhere(root, document, target)
    ]


def decisions_guarded(root: Path) -> list[Finding]:
    """Decisions are numbered without a gap, have their four parts, and name an existing test that guards them."""
    index = (root / DECISIONS / INDEX).read_text(encoding="utf-8")
    decisions = sorted(file for file in (root / DECISIONS).glob("*.md") if file.name != INDEX)
    return [
        Finding((DECISIONS / decision.name).as_posix(), 0, "decisions-guarded", fault)
        for number, decision in enumerate(decisions, start=1)
        for fault in _faults(root, number, decision, index)
    ]


def commands_exist(root: Path) -> list[Finding]:
    """Every `make <target>` that a document shows is a target of the Makefile."""
    targets = set(_TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    return [
        Finding(document.relative_to(root).as_posix(), 0, "commands-exist", f"the Makefile has no target {target!r}")
        for document in documents(root)
        for target in sorted(set(_MAKE.findall(document.read_text(encoding="utf-8"))) - targets)
    ]


def documents(root: Path) -> Iterator[Path]:
    """README, CHANGELOG and everything under docs."""
    yield from (path for path in (root / "README.md", root / "CHANGELOG.md") if path.exists())
    yield from sorted((root / "docs").rglob("*.md"))


def _links(document: Path) -> Iterator[tuple[int, str]]:
    for line, text in _prose(document):
        yield from ((line, target) for target in _LINK.findall(text) if not _OUTSIDE.match(target))


def _prose(document: Path) -> Iterator[tuple[int, str]]:
    fenced = False
    for line, text in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        if _FENCE.match(text.strip()):
            fenced = not fenced
        elif not fenced:
            yield line, text


def _leads_somewhere(root: Path, document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (document.parent / path).resolve() if path else document
    if not file.exists() or not file.is_relative_to(root.resolve()):
        return False
    return not anchor or (file.suffix == ".md" and anchor in _anchors(file))


def _anchors(document: Path) -> set[str]:
    headings = (match[1] for _, text in _prose(document) if (match := _HEADING.match(text)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _faults(root: Path, number: int, decision: Path, index: str) -> Iterator[str]:
    text = decision.read_text(encoding="utf-8")
    match = _NUMBERED.match(decision.name)
    if match is None or int(match[1]) != number:
        yield "its number does not follow the one before"
    if match and not text.startswith(f"# {int(match[1])}. "):
        yield f"does not start with '# {int(match[1])}. <title>'"
    if f"]({decision.name})" not in index:
        yield "is not listed in the index"
    yield from (f"has no section {section!r}" for section in SECTIONS if section not in text)
    yield from _unguarded(root, text.partition(SECTIONS[-1])[2])


def _unguarded(root: Path, section: str) -> Iterator[str]:
    guards = _QUOTED_PATH.findall(section)
    if not guards:
        yield "names no test that guards it"
    yield from (f"its guard {guard} does not exist" for guard in guards if not (root / guard).exists())
