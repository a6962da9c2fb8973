"""Conditions are made of parts, and each part means the same as a predicate and as SQL."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from shared_kernel.auth.conditions import FALSE, OPEN, OWN, Columns, Condition, ObjectAttributes, any_of
from shared_kernel.auth.conditions import _either as either
from shared_kernel.auth.conditions import _granted as granted
from shared_kernel.auth.principal import Principal

ME, OTHER = UUID(int=1), UUID(int=2)
CALLER = Principal(ME, "acme", UUID(int=9), ("member",), "pwd", 1)
COLUMNS = Columns(owner="r.owner", classification="r.classification", granted="r.granted")


def thing(**attributes: Any) -> ObjectAttributes:
    return ObjectAttributes(**{"kind": "resources", "tenant": "acme", **attributes})


@pytest.mark.parametrize(
    ("rights", "holds"), [((), False), (("read",), False), (("share",), True), (("read", "share"), True)]
)
def test_right_is_held_by_those_to_whom_this_very_right_was_granted(rights: tuple[str, ...], *, holds: bool) -> None:
    assert granted("share").holds(CALLER, thing(granted=frozenset(rights))) is holds


def test_right_is_looked_for_in_the_column_of_grants_and_nobody_has_it_where_there_is_none() -> None:
    assert granted("share").sql(COLUMNS) == "'share' = ANY (r.granted)"
    assert granted("share").sql(Columns()) == FALSE


@pytest.mark.parametrize(
    ("attributes", "holds"),
    [
        ({"owner": ME}, True),
        ({"owner": OTHER}, False),
        ({"owner": OTHER, "classification": "public"}, True),
        ({"owner": ME, "classification": "restricted"}, True),
        ({"owner": OTHER, "classification": "restricted"}, False),
        ({}, False),
    ],
)
def test_one_of_several_parts_suffices(attributes: Mapping[str, object], *, holds: bool) -> None:
    assert either(OWN, OPEN).holds(CALLER, thing(**attributes)) is holds


def test_parts_are_joined_by_or_and_those_that_no_column_can_answer_are_left_out() -> None:
    both = either(OWN, OPEN)
    assert both.sql(COLUMNS) == "(r.owner = %(auth_user)s OR r.classification IN ('public', 'internal'))"
    assert both.sql(Columns(owner="r.owner")) == "(r.owner = %(auth_user)s)"
    assert both.sql(Columns()) == "(false)"


def test_same_part_is_asked_once_and_nothing_at_all_is_never_true() -> None:
    assert any_of(["a", FALSE, "b", "a"]) == "(a OR b)"
    assert any_of([]) == "(false)"


def test_part_is_asked_about_the_caller_and_the_object_in_this_order() -> None:
    heard: list[object] = []

    def holds(principal: Principal, obj: ObjectAttributes) -> bool:
        heard.extend((principal, obj))
        return True

    about = thing()
    assert either(Condition(holds, lambda _: "true")).holds(CALLER, about)
    assert heard == [CALLER, about]
