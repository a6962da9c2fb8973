"""Real input for the story: every distribution in this Python environment, as an asset."""

from dataclasses import dataclass
from email.message import Message
from importlib.metadata import Distribution, distributions
from typing import Any, cast

_MAX_REQUIREMENTS = 40
_MAX_TEXT = 180


@dataclass(frozen=True, slots=True)
class Asset:
    """One installed distribution as the body of `POST /v1/resources`."""

    name: str
    description: str
    attributes: dict[str, Any]
    tags: tuple[str, ...]

    def body(self) -> dict[str, Any]:
        """What is sent; classification is left to its default."""
        return {
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes,
            "tags": list(self.tags),
        }


def assets() -> list[Asset]:
    """The inventory in order of name; a distribution that is found twice on the path counts once."""
    found = {dist.name.lower(): dist for dist in reversed(list(distributions())) if dist.name}
    return [_asset(found[name]) for name in sorted(found)]


def _asset(dist: Distribution) -> Asset:
    requirements = sorted(_one_line(text, 120) for text in dist.requires or ())
    return Asset(
        name=dist.name,
        description=_one_line(_field(dist, "Summary") or "No summary given.", _MAX_TEXT),
        attributes={
            "version": dist.version,
            "licence": _licence(dist),
            "requirements": requirements[:_MAX_REQUIREMENTS],
            "requirements_total": len(requirements),
        },
        tags=("python", "needs-others" if requirements else "stands-alone"),
    )


def _licence(dist: Distribution) -> str:
    declared = _field(dist, "License-Expression") or _field(dist, "License")
    classified = [line.rsplit("::", 1)[-1].strip() for line in _classifiers(dist) if line.startswith("License ::")]
    return _one_line(declared or ", ".join(classified) or "unknown", 80)


def _field(dist: Distribution, name: str) -> str | None:
    value = cast("Message", dist.metadata).get(name)
    return None if value in (None, "UNKNOWN") else str(value)


def _classifiers(dist: Distribution) -> list[str]:
    return [str(line) for line in cast("Message", dist.metadata).get_all("Classifier") or ()]


def _one_line(text: str, most: int) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text)
    joined = " ".join(printable.split())
    return joined if len(joined) <= most else joined[: most - 1] + "…"
