"""Every feature is the same small folder twice, joined by one file of events, tested in a folder of its own."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding

SIDES = {
    "command_service": frozenset({"commands", "domain", "handlers"}),
    "query_service": frozenset({"views", "projection"}),
}
"""What each side of a whole feature has; api, permissions and queries come with its first route."""

ONE_SIDED = {
    "audit": ("query_service", "reading the log again decides nothing, and its rows are the log itself"),
}
"""Features that live on one side only, which side, and why; an entry that is no longer true fails."""


def feature_mirror(root: Path) -> list[Finding]:
    """A feature exists whole on both sides, is listed by both services, has its events and its tests."""
    names = {side: _features(root, side) for side in SIDES}
    found = [finding for side in SIDES for finding in _side(root, side, names)]
    for name in sorted(set().union(*names.values())):
        found.extend(_surroundings(root, name))
    return [*found, *_stale_exceptions(names)]


def _features(root: Path, side: str) -> set[str]:
    return {init.parent.name for init in (root / side / "features").glob("*/__init__.py")}


def _side(root: Path, side: str, names: dict[str, set[str]]) -> Iterator[Finding]:
    other = next(name for name in SIDES if name != side)
    listed = _listed(root / side / "features" / "__init__.py")
    for name in sorted(names[side]):
        folder = f"{side}/features/{name}"
        if name not in listed:
            yield Finding(folder, 0, "feature-mirror", f"is not in FEATURES of {side}/features/__init__.py")
        if name not in ONE_SIDED:
            yield from (Finding(folder, 0, "feature-mirror", lack) for lack in _lacks(root, side, name))
            if name not in names[other]:
                yield Finding(folder, 0, "feature-mirror", f"has no other half in {other}")


def _lacks(root: Path, side: str, name: str) -> list[str]:
    return [f"has no {part}.py" for part in sorted(SIDES[side] - _parts(root / side / "features" / name))]


def _surroundings(root: Path, name: str) -> Iterator[Finding]:
    if name not in ONE_SIDED and not (root / "shared_kernel" / "events" / f"{name}.py").exists():
        yield Finding(f"shared_kernel/events/{name}.py", 0, "feature-mirror", "the feature has no file of events")
    if not list((root / "tests" / "features" / name).glob("test_*.py")):
        yield Finding(f"tests/features/{name}", 0, "feature-mirror", "the feature has no tests")


def _stale_exceptions(names: dict[str, set[str]]) -> Iterator[Finding]:
    for name, (side, _reason) in ONE_SIDED.items():
        if name not in names[side] or any(name in names[other] for other in SIDES if other != side):
            yield Finding("tests/architecture/rules/features.py", 0, "feature-mirror", f"{name} is no longer one-sided")


def _parts(folder: Path) -> set[str]:
    return {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}


def _listed(init: Path) -> set[str]:
    """Names of the modules whose FEATURE stands in FEATURES."""
    tree = ast.parse(init.read_text(encoding="utf-8")) if init.exists() else ast.Module(body=[], type_ignores=[])
    return {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "FEATURE" and isinstance(node.value, ast.Name)
    }
