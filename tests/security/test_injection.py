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


@pytest.mark.asvs("V1.2.1", "V3.2.2")
async def test_stored_script_reaches_no_page_and_is_never_sent_as_one(query_side: QuerySide) -> None:
    script = "</script><script>alert('stored')</script>"
    created = await query_side.create(OWNER, script, description=script, attributes={script: script}, tags=(script,))
    await query_side.register(OWNER, script)
    await query_side.catch_up()
    for path in ("/docs", "/openapi.json", "/problems/not-found", f"/problems/{script}"):
        for accept in ("text/html", "application/json"):
            page = await query_side.get(path, OWNER, {"Accept": accept})
            assert "alert('stored')" not in page.text, path
    for path in (
        f"/v1/resources/{created}",
        "/v1/resources",
        f"/v1/resources/{created}/history",
        "/v1/events",
        "/v1/me",
    ):
        answer = await query_side.get(path, OWNER, {"Accept": "text/html"})
        assert "alert('stored')" in answer.text, path
        assert answer.headers["Content-Type"] == "application/json", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
