"""SQL has a home, names its columns, and names its constraints."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.rules.finding import Finding
from tests.architecture.rules.source import sources, strings

HOMES = (
    "command_service/infrastructure/denials",
    "command_service/infrastructure/event_store/",
    "command_service/migrations/",
    "command_service/relay/",
    "command_service/vault_migrations/",
    "query_service/infrastructure/freshness",
    "query_service/infrastructure/notifications",
    "query_service/migrations/",
    "query_service/projector/",
    "shared_kernel/migrations",
)
"""Where SQL may stand that only plain PostgreSQL understands: the rest could move to another engine tomorrow."""

_POSTGRESQL_ONLY = re.compile(
    r"\bLOCK\s+TABLE\b|\bpg_(?:try_)?advisory_\w+|\bpg_notify\b|\b(?:UN)?LISTEN\s+[\w*\"{]|\bNOTIFY\s+[\w\"{]|\bplpgsql\b"
)
_ALL_COLUMNS = re.compile(
    r"\b(?:SELECT|RETURNING)\s+(?:\w+\.)?\*|\bINSERT\s+INTO\s+[\w.\"{}]+\s+(?:VALUES|SELECT)\b", re.IGNORECASE
)
_TABLE = re.compile(r"\bCREATE\s+TABLE\b[^(;]*\(", re.IGNORECASE)
_CONSTRAINT = re.compile(
    r"(?P<name>\bCONSTRAINT\s+[\w\"{}]+\s+)?\b(?P<kind>PRIMARY\s+KEY|UNIQUE|CHECK|FOREIGN\s+KEY|REFERENCES|EXCLUDE)\b",
    re.IGNORECASE,
)
_FOREIGN_KEY = re.compile(r"\bFOREIGN\s+KEY\b", re.IGNORECASE)


def sql_home(root: Path) -> list[Finding]:
    """Locks, NOTIFY and plpgsql stand in the few modules that are made for them."""
    return [
        Finding(source.path, line, "sql-home", f"{match[0]!r} belongs in the event store, the relay or the projector")
        for source in sources(root)
        if not source.path.startswith(HOMES)
        for line, text in strings(source.tree)
        if (match := _POSTGRESQL_ONLY.search(text))
    ]


def named_columns(root: Path) -> list[Finding]:
    """No `SELECT *`, no `RETURNING *`, no INSERT without its list of columns."""
    return [
        Finding(source.path, line, "named-columns", f"{' '.join(match[0].split())!r} names no columns")
        for source in sources(root)
        for line, text in strings(source.tree)
        if (match := _ALL_COLUMNS.search(text))
    ]


def named_constraints(root: Path) -> list[Finding]:
    """Every constraint that a migration creates has a name, since meaning is read from it."""
    return [
        Finding(source.path, line, "named-constraints", f"a {kind} constraint has no name")
        for source in sources(root)
        for line, text in strings(source.tree)
        for kind in _nameless(text)
    ]


def _nameless(statement: str) -> Iterator[str]:
    for table in _TABLE.finditer(statement):
        for item in _items(statement[table.end() :]):
            for match in _CONSTRAINT.finditer(_without_inner_parentheses(item)):
                kind = " ".join(match["kind"].upper().split())
                target_of_key = kind == "REFERENCES" and _FOREIGN_KEY.search(item)
                if not match["name"] and not target_of_key:
                    yield kind


def _items(body: str) -> Iterator[str]:
    """The column and constraint definitions between a table's parentheses."""
    depth, start = 0, 0
    for at, character in enumerate(body):
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and character == ","):
            yield body[start:at]
            start = at + 1
        if depth < 0:
            return


def _without_inner_parentheses(item: str) -> str:
    """The definition without what stands in parentheses: an expression may hold any word."""
    kept, depth = [], 0
    for character in item:
        depth -= character == ")"
        if depth == 0:
            kept.append(character)
        depth += character == "("
    return "".join(kept)
