"""Single rows by their keys: requests that ask at the same time share one SELECT, each for the row of its own key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Lookup:
    """What to select (`{generation}` stands for the live schema), and which columns of it are the key.

    `key` maps the column's name in the answer to its SQL expression and type: `{"id": "r.id::uuid"}`. The tenant
    belongs to every key: it is what keeps one tenant's request from another tenant's row.
    """

    select: str
    key: Mapping[str, str]

    def __post_init__(self) -> None:
        if "tenant" not in self.key:
            raise ValueError("a row is looked up in a tenant")

    def question(self, generation: str) -> str:
        """The query, put to one generation."""
        return self.query.format(generation=generation)

    @cached_property
    def query(self) -> str:
        """Takes one array for each column of the key, in the order of the columns: $1, $2 and so on."""
        columns = [(name, *expression.rsplit("::", 1)) for name, expression in self.key.items()]
        arrays = ", ".join(f"${place}::{type_}[]" for place, (_, _, type_) in enumerate(columns, start=1))
        same = " AND ".join(f"{column} = wanted.{name}" for name, column, _ in columns)
        return f"{self.select} JOIN unnest({arrays}) AS wanted ({', '.join(self.key)}) ON {same}"

    @cached_property
    def _tenant(self) -> int:
        return list(self.key).index("tenant")

    def by_tenant(self, keys: Sequence[Key]) -> Mapping[str, Sequence[Key]]:
        """The keys of each tenant: their rows are read apart, each behind its own wall."""
        found: dict[str, list[Key]] = {}
        for key in keys:
            found.setdefault(key[self._tenant], []).append(key)
        return found

    def parameters(self, keys: Sequence[Key]) -> Sequence[list[Any]]:
        """The arrays for these keys, each asked for once."""
        return [list(column) for column in zip(*dict.fromkeys(keys), strict=True)]

    def sorted_by(self, keys: Sequence[Key], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The row of each key, None where there is none."""
        found = {tuple(row[name] for name in self.key): row for row in rows}
        return [found.get(key) for key in keys]
