"""What can be asked of a resource, and the values it is asked with."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared_kernel.text import NAME_PATTERN, PROSE_PATTERN, line, prose, shown

MAX_TAGS = 20
MAX_DEPTH = 5
MAX_KEYS = 64
MAX_BYTES = 16 * 1024


class Classification(StrEnum):
    """How far a resource may be seen."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


def bounded(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes themselves. Raises ValueError, in words, when they are more than a resource can carry.

    At most 16 KiB as JSON, 5 levels of objects and lists, 64 keys in all of them together.
    """
    if _size(attributes) > MAX_BYTES:
        raise ValueError(f"must not be larger than {MAX_BYTES} bytes")
    parts = tuple(_parts(attributes))
    if any(depth > MAX_DEPTH for depth, _ in parts):
        raise ValueError(f"must not be nested more than {MAX_DEPTH} levels deep")
    if sum(len(part) for _, part in parts if isinstance(part, dict)) > MAX_KEYS:
        raise ValueError(f"must not have more than {MAX_KEYS} keys")
    for _, part in parts:
        _refuse_unkeepable(part)
    return attributes


def _size(attributes: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(attributes))
    except TypeError:
        raise ValueError("must be JSON with numbers of at most 64 bits and valid Unicode") from None


def _parts(value: Any, above: int = 0) -> Iterator[tuple[int, Any]]:
    """Every value inside, with the number of objects and lists it is in, itself included; stops one too deep."""
    depth = above + isinstance(value, dict | list)
    yield depth, value
    if depth <= MAX_DEPTH and isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _parts(part, depth)


def _refuse_unkeepable(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must not contain numbers that JSON does not know")
    for text in value if isinstance(value, dict) else (value,):
        prose(text if isinstance(text, str) else "")


def without_repetition(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Each tag once, in the order of first mention."""
    return tuple(dict.fromkeys(tags))


ResourceName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(line),
    shown(NAME_PATTERN, 200, 1),
]
Description = Annotated[str, StringConstraints(max_length=2000), AfterValidator(prose), shown(PROSE_PATTERN, 2000)]
Attributes = Annotated[dict[str, Any], AfterValidator(bounded), Field(json_schema_extra={"maxProperties": MAX_KEYS})]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$", max_length=50)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS), AfterValidator(without_repetition)]


class ResourceDetails(BaseModel):
    """What a new resource says about itself."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "orjson 3.13.0",
                    "description": "Fast JSON library",
                    "classification": "internal",
                    "attributes": {"licence": "Apache-2.0", "requires": []},
                    "tags": ["python", "json"],
                }
            ]
        },
    )

    name: ResourceName
    description: Description = ""
    classification: Classification = Classification.INTERNAL
    attributes: Attributes = Field(default_factory=dict)
    tags: Tags = ()


def _optional(schema: dict[str, Any]) -> None:
    """An absent member of a merge patch has no default: it stays as it is."""
    del schema["default"]


class DetailsPatch(BaseModel):
    """A merge patch (RFC 7396): absent members stay, `null` empties description, attributes or tags.

    Inside `attributes`, `null` removes a key and an object is merged; any other value replaces. `tags` is replaced.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"name": "orjson 3.13.1", "attributes": {"licence": "MIT"}}]},
    )

    name: ResourceName = Field(default="", json_schema_extra=_optional)
    description: Description | None = Field(default=None, json_schema_extra=_optional)
    classification: Classification = Field(default=Classification.INTERNAL, json_schema_extra=_optional)
    attributes: Attributes | None = Field(default=None, json_schema_extra=_optional)
    tags: Tags | None = Field(default=None, json_schema_extra=_optional)

    def members(self) -> dict[str, Any]:
        """What the patch speaks about, by field name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


@dataclass(frozen=True, slots=True)
class CreateResource:
    """Record a new resource that belongs to `owner`."""

    resource_id: UUID
    owner: UUID
    details: ResourceDetails


@dataclass(frozen=True, slots=True)
class ChangeResourceDetails:
    """Change what a resource says about itself."""

    resource_id: UUID
    patch: DetailsPatch


@dataclass(frozen=True, slots=True)
class ArchiveResource:
    """Put a resource away."""

    resource_id: UUID


@dataclass(frozen=True, slots=True)
class RestoreResource:
    """Take an archived resource back into use."""

    resource_id: UUID
