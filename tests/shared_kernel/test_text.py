"""Which text every part of the system can keep, and that its published patterns say the same."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_kernel.text import LINE_PATTERN, NAME_PATTERN, PROSE_PATTERN, line, prose, slug


def accepts(rule: Callable[[str], str], text: str) -> bool:
    try:
        return rule(text) == text
    except ValueError:
        return False


@pytest.mark.parametrize("text", ["", "Ada Lovelace", "äöü", "日本", "a\u00a0b", "🦦"])
def test_ordinary_text_is_a_line(text: str) -> None:
    assert line(text) == prose(text) == text


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r\nb", "a\u2028b", "a\u2029b"])
def test_breaks_are_prose_but_no_line(text: str) -> None:
    assert prose(text) == text
    with pytest.raises(ValueError, match="single line"):
        line(text)


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "a\x7fb", "\x85", "\ud800", "a\udfff"])
def test_what_a_store_cannot_keep_is_neither(text: str) -> None:
    for rule in (line, prose):
        with pytest.raises(ValueError, match="control characters"):
            rule(text)


@pytest.mark.parametrize("text", ["a", "acme", "acme-2", "0", "a" * 63])
def test_slugs_name_tenants(text: str) -> None:
    assert slug(text) == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "Acme", "a b", "a_b", "a" * 64, "ä", "a\n", "a.b"])
def test_other_names_are_no_slugs(text: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        slug(text)


@given(st.text())
def test_published_patterns_say_what_the_rules_do(text: str) -> None:
    patterns = {prose: PROSE_PATTERN, line: LINE_PATTERN}
    for rule, pattern in patterns.items():
        assert accepts(rule, text) == bool(re.fullmatch(pattern.rstrip("$"), text))
    assert (accepts(line, text) and bool(text.strip())) == bool(re.fullmatch(NAME_PATTERN.rstrip("$"), text))
