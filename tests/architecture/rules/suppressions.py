"""Whoever silences a checker says why, on the same line; and few lines escape the coverage."""

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding
from tests.architecture.rules.source import EVERYTHING, PRODUCT, Source, sources

NO_COVER_BUDGET = 10
_WORDS_OF_A_REASON = 2

_DIRECTIVE = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)?|type:\s*ignore(?:\[[^\]]*\])?|pragma:\s*no\s*(?:cover|branch)"
    r"|(?:ruff|mypy|fmt|isort|pyright|pylint):\s*[\w-]+(?:[:=]\s*[\w,-]+)?)"
)
_NO_COVER = re.compile(r"#\s*pragma:\s*no\s*(?:cover|branch)")
_SETTING = re.compile(r'^\s*"[A-Z]+\d*",')
_LISTS = re.compile(r"^(?:ignore|\"[^\"]+\") = \[$")


def reasoned_suppressions(root: Path) -> list[Finding]:
    """Every noqa, type: ignore and pragma carries a reason of two words or more, and so does each ignored ruff rule."""
    in_code = (
        Finding(source.path, line, "reasoned-suppressions", f"{directive!r} without a reason")
        for source in sources(root, EVERYTHING)
        for line, comment in _comments(source)
        if (directive := _unreasoned(comment))
    )
    return [*in_code, *_settings(root / "pyproject.toml")]


def no_cover_budget(root: Path) -> list[Finding]:
    """At most ten lines of the product are excused from coverage."""
    excused = Counter(
        source.path
        for source in sources(root, PRODUCT)
        for _line, comment in _comments(source)
        if _NO_COVER.search(comment)
    )
    if excused.total() <= NO_COVER_BUDGET:
        return []
    worst, _count = excused.most_common(1)[0]
    message = f"more than {NO_COVER_BUDGET} lines of the product are excused from coverage, most of them here"
    return [Finding(worst, 0, "no-cover-budget", message)]


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _unreasoned(comment: str) -> str | None:
    directive = _DIRECTIVE.search(comment)
    if directive is None:
        return None
    reason = re.sub(r"[\W_]+", " ", _DIRECTIVE.sub("", comment)).split()
    return None if len(reason) >= _WORDS_OF_A_REASON else directive[0]


def _settings(pyproject: Path) -> Iterator[Finding]:
    """Entries of ruff's ignore lists, each of which stands on its own line with a comment."""
    inside = False
    for number, line in enumerate(pyproject.read_text(encoding="utf-8").splitlines(), start=1):
        inside = bool(_LISTS.match(line)) or (inside and not line.startswith("]"))
        if inside and _SETTING.match(line) and "#" not in line:
            yield Finding("pyproject.toml", number, "reasoned-suppressions", f"{line.strip()} without a reason")
