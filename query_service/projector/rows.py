"""The SQL of read-model tables: many rows at a time, handed over as JSON that the server takes apart.

JSON costs one fast encoding on our side. The server is fastest with one list for each column; only where a column is an
array it gets whole rows, because `json_to_recordset` alone reads those.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.rows import dict_row

from query_service.infrastructure.projection import Key, Row, Table

DOCUMENTS = ("json", "jsonb")


class TableRows:
    """Reads and writes rows of one table in one generation."""

    def __init__(self, table: Table, generation: str) -> None:
        self._table = table
        self._load, self._upsert, self._delete, self._differing = _statements(
            table.name, generation, table.key, tuple(table.columns.items())
        )

    async def ask(self, connection: AsyncConnection[Any], keys: Iterable[Key]) -> AsyncCursor[Row]:
        """A cursor that will hold the rows with these keys; in a pipeline it does not wait for them."""
        cursor: AsyncCursor[Any] = connection.cursor(row_factory=dict_row)
        return await cursor.execute(
            self._load, (orjson.dumps([self._named(key) for key in keys], default=_plain).decode(),)
        )

    def by_key(self, rows: Iterable[Row]) -> dict[Key, Row]:
        return {tuple(row[column] for column in self._table.key): row for row in rows}

    async def write(self, connection: AsyncConnection[Any], rows: Mapping[Key, Row | None]) -> None:
        """Insert or replace rows; None removes one. Raises TypeError for a value that JSON does not know."""
        kept = [row for row in rows.values() if row is not None]
        gone = [self._named(key) for key, row in rows.items() if row is None]
        if kept:
            await connection.execute(self._upsert, self._given(kept))
        if gone:
            await connection.execute(self._delete, (orjson.dumps(gone, default=_plain).decode(),))

    def _given(self, rows: Sequence[Row]) -> Sequence[str]:
        """The parameters of an upsert."""
        if _has_arrays(self._table.columns):
            return [orjson.dumps(rows, default=_plain).decode()]
        return [orjson.dumps([row[name] for row in rows], default=_plain).decode() for name in self._table.columns]

    async def differing(self, connection: AsyncConnection[Any], rows: Mapping[Key, Row]) -> Sequence[Key]:
        """The keys under which the table has another row than this one, or none."""
        given = orjson.dumps(list(rows.values()), default=_plain).decode()
        cursor = await connection.cursor(row_factory=dict_row).execute(self._differing, (given,))
        return list(self.by_key(await cursor.fetchall()))

    def _named(self, key: Key) -> Row:
        return dict(zip(self._table.key, key, strict=True))


def _plain(value: object) -> str:
    """What orjson does not know but PostgreSQL reads back from a string. Raises TypeError for anything else."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError  # orjson names the type


@cache
def _statements(
    name: str, generation: str, key: tuple[str, ...], columns: tuple[tuple[str, str], ...]
) -> tuple[sql.Composed, sql.Composed, sql.Composed, sql.Composed]:
    types = dict(columns)
    parts = {
        "table": sql.Identifier(generation, name),
        "key": _names(key),
        "columns": _names(types),
        "own": sql.SQL(", ").join(sql.SQL("own.{}").format(sql.Identifier(column)) for column in types),
        "given": sql.SQL(", ").join(sql.SQL("given.{}").format(sql.Identifier(column)) for column in types),
        "given_key": sql.SQL(", ").join(sql.SQL("given.{}").format(sql.Identifier(column)) for column in key),
        "same": sql.SQL(" AND ").join(sql.SQL("own.{0} = given.{0}").format(sql.Identifier(column)) for column in key),
        "typed_key": _typed({column: types[column] for column in key}),
        "typed": _typed(types),
        "given_rows": _given_rows(types),
        "values": _values(types),
        "update": _update([column for column in types if column not in key]),
    }
    return _LOAD.format(**parts), _UPSERT.format(**parts), _DELETE.format(**parts), _DIFFERING.format(**parts)


_LOAD = sql.SQL("SELECT {own} FROM json_to_recordset(%s::json) AS given ({typed_key}) JOIN {table} AS own ON {same}")
_UPSERT = sql.SQL("""
    INSERT INTO {table} AS own ({columns})
    SELECT {values} FROM {given_rows}
    ON CONFLICT ({key}) DO {update}
""")
_DIFFERING = sql.SQL("""
    SELECT {given_key} FROM json_to_recordset(%s::json) AS given ({typed}) LEFT JOIN {table} AS own ON {same}
     WHERE ROW({own}) IS DISTINCT FROM ROW({given})
""")
_DELETE = sql.SQL("DELETE FROM {table} AS own USING json_to_recordset(%s::json) AS given ({typed_key}) WHERE {same}")


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column) for column in columns)


def _typed(types: Mapping[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in types.items()
    )


def _has_arrays(types: Mapping[str, str]) -> bool:
    return any(kind.endswith("[]") for kind in types.values())


def _given_rows(types: Mapping[str, str]) -> sql.Composable:
    if _has_arrays(types):
        return sql.SQL("json_to_recordset(%s::json) AS given ({})").format(_typed(types))
    documents, texts = sql.SQL("json_array_elements(%s::json)"), sql.SQL("json_array_elements_text(%s::json)")
    lists = sql.SQL(", ").join(documents if kind in DOCUMENTS else texts for kind in types.values())
    return sql.SQL("ROWS FROM ({}) AS given ({})").format(lists, _names(types))


def _values(types: Mapping[str, str]) -> sql.Composed:
    if _has_arrays(types):
        return _names(types)
    document, text = sql.SQL("nullif(given.{0}::text, 'null')::{1}"), sql.SQL("given.{0}::{1}")
    return sql.SQL(", ").join(
        (document if kind in DOCUMENTS else text).format(sql.Identifier(column), sql.SQL(kind))
        for column, kind in types.items()
    )


def _update(columns: Iterable[str]) -> sql.Composable:
    assignments = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in columns]
    return sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(assignments)) if assignments else sql.SQL("NOTHING")
