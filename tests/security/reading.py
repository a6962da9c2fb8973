"""The documents about security and the code beside them, as tests read both."""

import ast
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/security"
PACKAGES = ("command_service", "query_service", "shared_kernel", "deploy")


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def routes_of(service: str) -> dict[str, dict[str, Any]]:
    """What the OpenAPI document says of each route, by `PUT /v1/...`."""
    paths = json.loads((ROOT / f"docs/api/{service}.openapi.json").read_text(encoding="utf-8"))["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    }


def sources() -> dict[str, str]:
    """The code of every module that ships, by its path."""
    return {
        file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8")
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
    }


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines[2:]]


def imports_of(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}
