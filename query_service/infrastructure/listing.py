"""Reads one page of a list in SQL: the caller's rights, the filters that were given, the horizon and the cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from psycopg.rows import DictRow

from query_service.infrastructure.database import TenantRows
from query_service.infrastructure.pagination import Page

Part = tuple[str, Mapping[str, Any]]
"""A condition for WHERE, written by us, and the parameters it names."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list selects (`{generation}` stands for the live schema), what orders it, and a condition per filter."""

    select: str
    position: str
    filters: Mapping[str, str] = field(default_factory=dict)

    async def rows(
        self, database: TenantRows, page: Page, *parts: Part, generation: str = "", horizon: int | None = None
    ) -> Sequence[DictRow]:
        """One row more than the page shows, if there is one; nothing beyond the horizon.

        Raises ValidationFailed for a foreign cursor.
        """
        given = page.query.model_dump(include=set(self.filters), exclude_none=True)
        limits = self._limits(page, horizon)
        conditions = [*(part for part, _ in parts), *(self.filters[name] for name in given), *limits]
        values = {"after": page.after, "horizon": horizon, "fetch": page.query.limit + 1} | given
        for _, parameters in parts:
            values |= parameters
        order = f"ORDER BY {self.position} {'DESC' if page.query.descending else 'ASC'} LIMIT %(fetch)s"
        text = " ".join((self.select.format(generation=generation), "WHERE", " AND ".join(conditions), order))
        return await database.rows(sql.SQL(text), values)

    def _limits(self, page: Page, horizon: int | None) -> list[str]:
        beyond = "<" if page.query.descending else ">"
        after = [f"{self.position} {beyond} %(after)s"] if page.query.after is not None else []
        return after if horizon is None else [*after, f"{self.position} <= %(horizon)s"]
