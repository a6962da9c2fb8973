"""Draws who imports whom (with pydeps) and refuses cycles: `python -m tests.support.dependencies <package> ...`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Edges = set[tuple[str, str]]
"""(importer, imported), dotted module names."""

OUTPUT = Path("build/dependencies")


def read(packages: list[str]) -> Edges:
    """What the modules of the packages import from each other. Raises CalledProcessError when pydeps fails."""
    everything = ("--max-bacon", "0", "--no-config", "--nodot", "--no-output", "--only", *packages)
    edges: Edges = set()
    for package in packages:
        command = [sys.executable, "-m", "pydeps", package, "--show-deps", *everything]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        edges |= set(_edges(json.loads(answer)))
    return edges


def _edges(modules: Mapping[str, Mapping[str, list[str]]]) -> Iterator[tuple[str, str]]:
    """Importing `a.b` also runs `a`: an import of one's own surrounding package says nothing and is left out."""
    for imported, module in modules.items():
        for importer in module.get("imported_by", []):
            if importer in modules and not f"{importer}.".startswith(f"{imported}."):
                yield importer, imported


def cycle(edges: Iterable[tuple[str, str]]) -> list[str] | None:
    """Modules that import each other in a circle, the first one repeated at the end; None when there is no circle."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in edges:
        sorter.add(importer, imported)
    try:
        sorter.prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return None


def drawing(edges: Edges) -> str:
    """The graph in the DOT language, one node per part of a package (`query_service.projector`)."""
    parts = {(_part(importer), _part(imported)) for importer, imported in edges}
    lines = [f'    "{importer}" -> "{imported}";' for importer, imported in sorted(parts) if importer != imported]
    return "\n".join(["digraph dependencies {", "    node [shape=box];", *lines, "}", ""])


def _part(module: str) -> str:
    return ".".join(module.split(".")[:2])


def main(packages: list[str]) -> int:
    edges = read(packages)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.with_suffix(".dot").write_text(drawing(edges), encoding="utf-8")
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg", f"-o{OUTPUT}.svg", f"{OUTPUT}.dot"], check=True)
    found = cycle(edges)
    sys.stdout.write(f"{len(edges)} imports drawn in {OUTPUT}.dot\n")
    if found:
        sys.stdout.write(f"These modules import each other: {' -> '.join(found)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
