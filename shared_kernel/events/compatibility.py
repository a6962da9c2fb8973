"""What a change of an event's JSON Schema does to the history that was written under the old one.

The log is never rewritten, so every stored event of a topic must still read as it did: a field never disappears, never
narrows, never becomes required, and is never encrypted at one time and clear at another. Readers that are not of this
release yet (the other service during a deployment) meet only fields more than they know, which they tolerate.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

PERSONAL = ("x-personal", "x-credential")
PROSE = frozenset({"title", "description", "examples", "$schema", "$id", "$defs", "$ref"})
"""Says nothing about what fits; references are followed."""

STRUCTURE = frozenset(
    {"type", "anyOf", "oneOf", "allOf", "properties", "required", "items", "enum", "const", "default"}
)
AT_LEAST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
AT_MOST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def breaks(before: Schema, after: Schema) -> list[str]:
    """Why events that were stored under `before` cannot be read as they were under `after`; empty when they can."""
    return list(_object("", _Side(before, before), _Side(after, after)))


class _Side:
    """A node of one of the two documents; references lead through its root."""

    def __init__(self, root: Schema, node: Any) -> None:
        self.root = root
        self.node = self._followed(node if isinstance(node, Mapping) else {})

    def _followed(self, node: Schema) -> Schema:
        """The node with what its `$ref` (or the one member of `allOf`) says, its own words winning."""
        while "$ref" in node or len(node.get("allOf", ())) == 1:
            target: Any = node["allOf"][0] if "$ref" not in node else self.root
            for name in str(node.get("$ref", "#")).split("/")[1:]:
                target = target[name]
            own = {name: value for name, value in node.items() if name not in ("$ref", "allOf")}
            node = {**target, **own}
        return node

    def below(self, node: Any) -> "_Side":
        return _Side(self.root, node)

    @property
    def fields(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.node.get("properties", {})
        return found

    @property
    def alternatives(self) -> "list[_Side]":
        """The shapes a value may have, one type each."""
        for word in ("anyOf", "oneOf"):
            if word in self.node:
                return [inner for each in self.node[word] for inner in self.below(each).alternatives]
        if isinstance(self.node.get("type"), list):
            return [self.below({**self.node, "type": each}) for each in self.node["type"]]
        return [self]


def _object(path: str, before: _Side, after: _Side) -> Iterator[str]:
    required, needed = before.node.get("required", ()), after.node.get("required", ())
    for name in before.fields:
        where = f"{path}{name}"
        if name not in after.fields:
            yield f"the field {where!r} is gone (or has another name)"
        else:
            yield from _field(where, before.below(before.fields[name]), after.below(after.fields[name]))
    for name in needed:
        if name not in required:
            yield f"the field {path + name!r} is required now, but stored events may lack it"


def _field(where: str, before: _Side, after: _Side) -> Iterator[str]:
    for mark in PERSONAL:
        if before.node.get(mark, False) != after.node.get(mark, False):
            yield f"the field {where!r} changes its marking {mark}: what is stored stays as it was encrypted"
    if "default" in before.node and ("default", before.node["default"]) not in after.node.items():
        yield f"the field {where!r} has another default: stored events that lack it would read differently"
    yield from _value(where, before, after)


def _value(where: str, before: _Side, after: _Side) -> Iterator[str]:
    """Every shape the value could have must still be allowed."""
    allowed = after.alternatives
    for shape in before.alternatives:
        faults = [list(_shape(where, shape, candidate)) for candidate in allowed]
        if [] not in faults:
            yield from min(faults, key=len) if faults else [f"the field {where!r} may hold nothing any more"]


def _shape(where: str, before: _Side, after: _Side) -> Iterator[str]:
    if not _holds(after.node.get("type"), before.node.get("type")):
        yield f"the field {where!r} was {_said(before.node)} and is {_said(after.node)} now"
        return
    if not _within(_choices(before.node), _choices(after.node)):
        yield f"the field {where!r} allows fewer values than before"
    yield from (f"the field {where!r} has a narrower {word!r}" for word in _narrowed(before.node, after.node))
    if "items" in after.node:
        yield from _value(f"{where}[]", before.below(before.node.get("items")), after.below(after.node["items"]))
    if before.fields or after.fields:
        yield from _object(f"{where}.", before, after)


def _holds(after: str | None, before: str | None) -> bool:
    return after is None or after == before or (before, after) == ("integer", "number")


def _choices(node: Schema) -> Sequence[Any] | None:
    """The values that are listed one by one; None when they are not."""
    if "const" in node:
        return [node["const"]]
    listed: Sequence[Any] | None = node.get("enum")
    return listed


def _within(before: Sequence[Any] | None, after: Sequence[Any] | None) -> bool:
    return after is None or (before is not None and all(value in after for value in before))


def _narrowed(before: Schema, after: Schema) -> list[str]:
    """The words of `after` that refuse something `before` allowed; one that is not known here counts as such."""
    words = set(after) - PROSE - STRUCTURE - set(PERSONAL)
    return sorted(word for word in words if not _no_tighter(word, before.get(word), after[word]))


def _no_tighter(word: str, before: Any, after: Any) -> bool:
    if before == after or after is True:
        return True
    if before is None or isinstance(after, (Mapping, bool)):
        return False
    return (word in AT_LEAST and after <= before) or (word in AT_MOST and after >= before)


def _said(node: Schema) -> str:
    return str(node.get("type", "anything"))
