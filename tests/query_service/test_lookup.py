"""Requests that share one SELECT: of whatever tenant and user they are, each gets its own row and its own rights."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.rows import DictRow

from query_service.features.resources import queries
from query_service.infrastructure.database import Database
from query_service.infrastructure.lookup import Key, Lookup
from query_service.infrastructure.round_trip import Columns
from tests.support.query_side import Person, QuerySide

TENANTS = ("acme", "globex", "initech")
PEOPLE = [Person(uuid4(), tenant=tenant) for tenant in TENANTS for _ in range(2)]

Owned = dict[UUID, Person]


class MixedUp(Lookup):
    """What must never be: rows handed out by id alone, in the order in which they came."""

    def sorted_by(self, keys: Sequence[Key], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        found = super().sorted_by(keys, rows)
        return found[1:] + found[:1]


async def fill(query_side: QuerySide) -> Owned:
    """Two confidential resources of each person: only their owners may read them."""
    made = {await query_side.create(each, str(each.id), classification="confidential"): each for each in PEOPLE * 2}
    await query_side.catch_up()
    return made


def expected(caller: Person, owner: Person) -> int:
    if caller.tenant != owner.tenant:
        return 404
    return 200 if caller == owner else 403


async def wrong_answers(query_side: QuerySide, owned: Owned) -> int:
    """Everybody asks for everything at once; how many heard what was not for them."""

    async def ask(caller: Person, resource: UUID) -> bool:
        answer = await query_side.get(f"/v1/resources/{resource}", caller)
        right = answer.status_code == expected(caller, owned[resource])
        if answer.status_code == 200:
            right = right and (answer.json()["id"], answer.json()["name"]) == (str(resource), str(caller.id))
        return right

    asked = [ask(caller, resource) for caller in PEOPLE for resource in owned]
    return (await asyncio.gather(*asked)).count(False)


@pytest.mark.asvs("V8.4.1")
async def test_callers_of_many_tenants_who_share_a_select_hear_only_what_is_theirs(query_side: QuerySide) -> None:
    assert await wrong_answers(query_side, await fill(query_side)) == 0


async def test_that_test_finds_a_mix_up(query_side: QuerySide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "BY_ID", MixedUp(queries.BY_ID.select, queries.BY_ID.key))
    assert await wrong_answers(query_side, await fill(query_side)) > 0


class Counting(Database):
    """Remembers for how many tenants, and how many keys of each, every round trip asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[list[int]] = []

    async def rows_of_all(self, question: str, asked: Mapping[str, Columns]) -> Sequence[DictRow]:
        self.asked.append([len(ids) for _, ids in asked.values()])
        return await super().rows_of_all(question, asked)


async def test_rows_asked_for_at_once_come_in_one_round_trip_and_equal_questions_are_one(query_side: QuerySide) -> None:
    owned = await fill(query_side)
    database = Counting(query_side.reader_url)
    await database.open()
    try:
        keys = [(person.tenant, resource) for resource, person in owned.items()] * 2 + [("acme", uuid4())]
        rows = await asyncio.gather(*(database.find(queries.BY_ID, "blue", *key) for key in keys))
    finally:
        await database.close()
    assert [row and (row["tenant"], row["id"]) for row in rows] == [*keys[:-1], None]
    assert database.asked == [[5, 4, 4]], "a SELECT for each tenant, with its own keys"


@pytest.mark.asvs("V8.4.1")
def test_lookup_without_the_tenant_is_refused() -> None:
    with pytest.raises(ValueError, match="in a tenant"):
        Lookup("SELECT r.id FROM resources r", key={"id": "r.id::uuid"})
