"""Which names, tags and attributes a resource can carry."""

from typing import Any

import pytest
from pydantic import ValidationError

from command_service.features.resources.commands import DetailsPatch, ResourceDetails


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"end": 1}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def accepted(**members: Any) -> None:
    ResourceDetails(**{"name": "fine", **members})


def refused(**members: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        ResourceDetails(**{"name": "fine", **members})
    return str(raised.value)


def test_name_is_trimmed_and_has_1_to_200_characters_on_one_line() -> None:
    assert ResourceDetails(name="  orjson ").name == "orjson"
    assert ResourceDetails(name="é" * 200).name == "é" * 200
    for name in ("", "   ", "x" * 201, "a\x00b", "a\nb", "a\u2028b", "\ud800"):
        refused(name=name)


def test_description_may_have_several_lines_but_no_control_characters() -> None:
    assert ResourceDetails(name="x", description="one\n\ttwo").description == "one\n\ttwo"
    accepted(description="d" * 2000)
    for description in ("d" * 2001, "a\x00b", "a\x1bb", "\udfff", None, 3):
        refused(description=description)


def test_tags_are_lower_case_slugs_each_once_in_order() -> None:
    assert ResourceDetails(name="x", tags=("b", "a-1", "b", "x.y_z")).tags == ("b", "a-1", "x.y_z")
    for tag in ("", "Upper", "with space", "-a", "a-", "a--b", "a" * 51, "ä", "a\n"):
        refused(tags=(tag,))
    accepted(tags=tuple(f"t{n}" for n in range(20)))
    refused(tags=tuple(f"t{n}" for n in range(21)))


@pytest.mark.asvs("V2.2.1")
def test_attributes_are_at_most_5_levels_deep() -> None:
    accepted(attributes=nested(5))
    assert "levels deep" in refused(attributes=nested(6))
    assert "levels deep" in refused(attributes={"list": [[[[[]]]]]})
    assert "valid Unicode" in refused(attributes=nested(500))


def test_attributes_have_at_most_64_keys_in_all_levels_together() -> None:
    accepted(attributes={str(n): n for n in range(64)})
    assert "64 keys" in refused(attributes={str(n): n for n in range(65)})
    assert "64 keys" in refused(attributes={"in": [{str(n): n for n in range(32)}, {str(n): n for n in range(32)}]})


def test_attributes_are_at_most_16_kib() -> None:
    accepted(attributes={"k": "v" * (16 * 1024 - 8)})
    assert "16384 bytes" in refused(attributes={"k": "v" * (16 * 1024 - 7)})


@pytest.mark.asvs("V1.3.3", "V1.4.2")
def test_attributes_hold_only_what_json_and_the_stores_can_keep() -> None:
    accepted(attributes={"n": None, "b": True, "f": 1.5, "i": 2**63, "s": "a\nb", "l": [1]})
    for value in (float("nan"), float("inf"), 2**64, "a\x00b", "\ud800", [["a\x00"]]):
        refused(attributes={"k": value})
    refused(attributes={"a\x00": 1})
    refused(attributes=[1])


@pytest.mark.asvs("V15.3.3")
def test_unknown_members_are_refused() -> None:
    refused(colour="blue")
    with pytest.raises(ValidationError):
        DetailsPatch.model_validate({"colour": "blue"})


def test_name_and_classification_cannot_be_emptied() -> None:
    for member in ("name", "classification"):
        with pytest.raises(ValidationError):
            DetailsPatch.model_validate({member: None})


def test_published_patch_has_no_defaults() -> None:
    schema = DetailsPatch.model_json_schema()
    assert all("default" not in member for member in schema["properties"].values())
    assert "required" not in schema
