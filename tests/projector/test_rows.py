"""The SQL that a table's declaration becomes, and what of Python a read model can hold."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest

from query_service.infrastructure.projection import Table
from query_service.projector.rows import TableRows, _plain, _statements
from tests.support.cluster import Database
from tests.support.read_side import ReadSide

THINGS = Table("things", ("tenant", "id"), {"tenant": "text", "id": "uuid", "size": "numeric(10,2)", "data": "bytea"})


def statements(table: Table, generation: str = "green") -> list[str]:
    found = _statements(table.name, generation, table.key, tuple(table.columns.items()))
    return [" ".join(each.as_string().split()) for each in found]


def test_rows_are_loaded_by_key_from_their_generation() -> None:
    assert statements(THINGS)[0] == (
        'SELECT own."tenant", own."id", own."size", own."data" FROM json_to_recordset(%s::json)'
        ' AS given ("tenant" text, "id" uuid) JOIN "green"."things" AS own'
        ' ON own."tenant" = given."tenant" AND own."id" = given."id"'
    )


def test_rows_are_replaced_whole() -> None:
    assert statements(THINGS)[1].endswith(
        'ON CONFLICT ("tenant", "id") DO UPDATE SET "size" = excluded."size", "data" = excluded."data"'
    )


def test_table_of_keys_alone_has_nothing_to_update() -> None:
    members = Table("members", ("tenant", "id"), {"tenant": "text", "id": "uuid"})
    assert statements(members, "blue")[1].endswith('ON CONFLICT ("tenant", "id") DO NOTHING')


def test_rows_are_removed_by_key() -> None:
    assert statements(THINGS)[2].startswith('DELETE FROM "green"."things" AS own USING json_to_recordset')


def test_rows_are_found_by_the_columns_of_the_key() -> None:
    row = {"tenant": "a", "id": 1, "size": 2, "data": b""}
    assert TableRows(THINGS, "blue").by_key([row]) == {("a", 1): row}


@pytest.mark.parametrize(("value", "text"), [(b"\x00\xff", '"\\\\x00ff"'), (Decimal("1.10"), '"1.10"')])
def test_bytes_and_exact_numbers_are_written_as_postgresql_reads_them(value: object, text: str) -> None:
    assert orjson.dumps(value, default=_plain).decode() == text


@pytest.mark.parametrize("value", [{1}, object(), 1j, range(3)])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        orjson.dumps(value, default=_plain)


COLUMNS = {
    "id": "uuid",
    "size": "numeric(10,2)",
    "data": "bytea",
    "at": "timestamptz",
    "count": "bigint",
    "open": "boolean",
    "name": "text",
    "document": "jsonb",
}
FULL = {
    "id": UUID(int=1),
    "size": Decimal("1.10"),
    "data": b"\x00\xff",
    "at": datetime(2026, 3, 12, 6, 0, 0, 123456, tzinfo=UTC),
    "count": 2**53 + 1,
    "open": False,
    "name": 'a "quoted" \\ word, null',
    "document": {"a": [1, None, "x"]},
}
NOTHING = dict.fromkeys(COLUMNS)
DOCUMENTS: list[Any] = ["a word", "null", 7, True, [], {}, None]


@pytest.mark.parametrize("further", [{}, {"steps": "bigint[]"}], ids=["by column", "with an array"])
async def test_every_value_comes_back_as_it_was_written(
    side: ReadSide, query_database: Database, further: dict[str, str]
) -> None:
    columns = COLUMNS | further
    with psycopg.connect(query_database.owner_url) as owner:
        kinds = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        owner.execute(f"CREATE TABLE blue.values ({kinds}, CONSTRAINT values_pk PRIMARY KEY (id))".encode())
        owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON blue.values TO twinlog_query_app")
    table = TableRows(Table("values", ("id",), columns), "blue")
    arrays: dict[str, Any] = {"steps": [1, 2]} if further else {}
    given = [
        {**FULL, **arrays},
        {**NOTHING, "id": UUID(int=2), **dict.fromkeys(arrays)},
        *(
            {**FULL, "id": UUID(int=3 + number), "document": document, **arrays}
            for number, document in enumerate(DOCUMENTS)
        ),
    ]
    rows = {(row["id"],): row for row in given}
    async with side.pool.connection() as connection:
        await connection.execute("SET timezone = 'UTC'")
        await table.write(connection, rows)
        await table.write(connection, rows)
        assert await table.differing(connection, rows) == []
        assert table.by_key(await (await table.ask(connection, rows)).fetchall()) == rows
        await connection.execute("RESET timezone")
