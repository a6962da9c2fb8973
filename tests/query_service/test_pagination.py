"""Cursors are signed, belong to one question, and lead through a list without a gap."""

import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, ValidationError

from query_service.infrastructure.pagination import Cursors, Page, PageQuery, Word
from shared_kernel.errors import LogEpochChanged, ValidationFailed

CURSORS = Cursors(b"k" * 32)
PATH = "/v1/things"


class ThingQuery(PageQuery):
    colour: Word | None = None
    since: AwareDatetime | None = None
    sort: str = "created_at"


positions = st.integers(0, 2**63 - 1)


@given(positions, st.binary(max_size=20))
def test_a_cursor_opens_to_the_position_it_was_sealed_with(position: int, scope: bytes) -> None:
    assert CURSORS.open(CURSORS.seal(position, scope), scope) == position


@given(positions, st.binary(max_size=20), st.binary(max_size=20))
def test_a_cursor_of_another_list_is_refused(position: int, mine: bytes, yours: bytes) -> None:
    if mine != yours:
        with pytest.raises(ValidationFailed):
            CURSORS.open(CURSORS.seal(position, mine), yours)


@given(positions, st.data())
def test_a_cursor_with_one_changed_bit_is_refused(position: int, data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSORS.seal(position, b"")))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValidationFailed):
        CURSORS.open(base64.urlsafe_b64encode(raw).decode(), b"")


@given(st.text(max_size=60))
def test_what_is_no_cursor_is_refused_and_never_breaks(text: str) -> None:
    with pytest.raises(ValidationFailed):
        CURSORS.open(text, b"")


def test_a_cursor_under_another_key_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        CURSORS.open(Cursors(b"other" * 8).seal(7, b""), b"")


def page_of(query: PageQuery, *scope: str | int) -> Page:
    return Page.of(CURSORS, PATH, query, *scope)


@pytest.mark.asvs("V1.2.2")
def test_the_link_asks_the_same_question_after_the_last_row_shown() -> None:
    query = ThingQuery(limit=2, colour="dark blue&é", since=datetime(2026, 3, 12, tzinfo=UTC), sort="-created_at")
    shown, link = page_of(query, "acme", 1).split([{"p": 9}, {"p": 7}, {"p": 5}], "p")
    assert (shown, query.descending) == ([{"p": 9}, {"p": 7}], True)
    assert link is not None
    address, rel = link.split("; ")
    assert rel == 'rel="next"'
    target = urlsplit(address.strip("<>"))
    assert target.path == PATH
    parameters = {name: values[0] for name, values in parse_qs(target.query).items()}
    following = ThingQuery.model_validate(parameters)
    assert following.model_dump(exclude={"after"}) == query.model_dump(exclude={"after"})
    assert page_of(following, "acme", 1).after == 7


def test_a_cursor_of_before_the_log_was_restored_is_refused_for_that_reason() -> None:
    before, after = (Page.of(CURSORS, PATH, PageQuery(limit=1), "acme", epoch=epoch) for epoch in (1, 2))
    _, link = before.split([{"p": 7}, {"p": 9}], "p")
    cursor = parse_qs(urlsplit((link or "").split("; ")[0].strip("<>")).query)["after"][0]
    for page, taken in ((before, 7), (after, None)):
        asked = Page.of(CURSORS, PATH, PageQuery(limit=1, after=cursor), "acme", epoch=page.epoch)
        if taken:
            assert asked.after == taken
        else:
            with pytest.raises(LogEpochChanged, match="begin with the first page"):
                _ = asked.after


def test_a_page_that_is_not_overfull_is_the_last_one() -> None:
    assert page_of(PageQuery(limit=2)).split([{"p": 1}, {"p": 2}], "p") == ([{"p": 1}, {"p": 2}], None)
    assert page_of(PageQuery()).after is None


@pytest.mark.parametrize(
    "other",
    [
        page_of(ThingQuery(colour="red"), "acme", 1),
        page_of(ThingQuery(sort="-created_at"), "acme", 1),
        page_of(ThingQuery(), "globex", 1),
        page_of(ThingQuery(), "acme", 2),
        Page.of(CURSORS, "/v1/others", ThingQuery(), "acme", 1),
    ],
)
def test_a_list_is_another_one_with_other_filters_order_tenant_version_or_path(other: Page) -> None:
    assert other.scope != page_of(ThingQuery(), "acme", 1).scope


def test_the_size_of_the_page_may_change_on_the_way() -> None:
    assert page_of(ThingQuery(limit=5), "acme").scope == page_of(ThingQuery(limit=9), "acme").scope


@pytest.mark.parametrize("word", ["", "x" * 256, "a\x00b", "a\nb", "a\u2028b", "\ud800"])
def test_a_word_to_filter_by_is_one_line_that_a_database_can_hold(word: str) -> None:
    with pytest.raises(ValidationError):
        ThingQuery(colour=word)
