"""What would be code elsewhere is a value here: stored and shown as it came, matched as text, never obeyed."""

from uuid import uuid4

import pytest

from tests.support.query_side import Person, QuerySide

OWNER, MEMBER = Person(uuid4()), Person(uuid4())

HOSTILE = (
    "' OR '1'='1",
    "x'; DROP TABLE blue.resources; --",
    "%%",
    "_%",
    '","owner":"somebody","x":"',
    "</script><script>alert(1)</script>",
    "%(tenant)s {0} %s",
    "\u2028\u2029",
    "\\",
)


@pytest.mark.asvs("V1.2.3", "V1.2.4")
async def test_hostile_text_is_shown_as_it_was_stored(query_side: QuerySide) -> None:
    for text in HOSTILE:
        created = await query_side.create(OWNER, text, description=text, attributes={text: [text]}, tags=(text,))
        await query_side.catch_up()
        shown = (await query_side.get(f"/v1/resources/{created}", OWNER)).json()
        assert (shown["name"], shown["description"], shown["tags"]) == (text, text, [text])
        assert (shown["attributes"], shown["owner"]) == ({text: [text]}, str(OWNER.id))
    assert len((await query_side.get("/v1/resources", OWNER)).json()["items"]) == len(HOSTILE)


@pytest.mark.asvs("V1.2.4")
@pytest.mark.parametrize("name", ["q", "tag"])
async def test_hostile_filter_finds_only_what_is_called_so(query_side: QuerySide, name: str) -> None:
    hidden = await query_side.create(OWNER, "kept to itself", classification="restricted", tags=("kept",))
    named = {text: await query_side.create(OWNER, text, tags=(text,)) for text in HOSTILE if text.isprintable()}
    await query_side.catch_up()
    for text, resource in named.items():
        answer = await query_side.get("/v1/resources", MEMBER, None, **{name: text})
        found = {item["id"] for item in answer.json()["items"]}
        assert found == {str(resource)}, text
        assert str(hidden) not in found
