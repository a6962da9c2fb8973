"""What the OpenAPI document promises about each question is what the service answers."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jsonschema

from shared_kernel.events.policies import PolicyAdded
from tests.support.query_side import Person, QuerySide

ADA = Person(uuid4(), roles=("admin", "member"))


def validate(document: dict[str, Any], value: Any, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def questions(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, operation, and the schema of its good answer."""
    for path, methods in document["paths"].items():
        response = methods["get"]["responses"]["200"]
        yield path, methods["get"], response["content"]["application/json"]["schema"]


def examples_of(document: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    return list(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["examples"])


async def test_every_question_shows_an_example_that_fits_and_answers_like_it(query_side: QuerySide) -> None:
    await query_side.register(ADA)
    resource = await query_side.create(ADA, tags=("json",), attributes={"licence": "MIT"})
    policy = PolicyAdded(
        policy_id=uuid4(), role="operator", permission="resources:create", condition="any", effect="allow"
    )
    await query_side.log.append(f"policies-{policy.policy_id}", policy)
    await query_side.catch_up()
    document = (await query_side.http.get("/openapi.json")).json()
    for path, operation, schema in questions(document):
        for example in examples_of(document, schema):
            validate(document, example, schema)
        known = {"resource_id": resource, "user_id": ADA.id, "policy_id": policy.policy_id, "position": 1}
        answer = await query_side.get(path.format(**known), ADA)
        assert answer.status_code == 200, (path, answer.text)
        validate(document, answer.json(), schema)
        shown = set(operation["responses"]["200"]["headers"])
        assert {name for name in ("ETag", "Link") if name in answer.headers} <= shown
        assert {"400", "401", "403", "409", "422", "429", "500", "503"} <= operation["responses"].keys()


async def test_every_filter_is_described(query_side: QuerySide) -> None:
    document = (await query_side.http.get("/openapi.json")).json()
    named = {
        path: {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
        for path, operation, _ in questions(document)
        if "parameters" in operation
    }
    assert named["/v1/resources"] == {"limit", "after", "classification", "state", "owner", "tag", "q", "sort"}
    assert named["/v1/events"] >= {"limit", "after", "actor", "stream", "type", "correlation_id", "since", "until"}
    assert named["/v1/me"] == set()


async def test_refusals_are_said_in_the_callers_language(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    token = query_side.consistency_token(1)
    german = {"Accept-Language": "de"}
    late = await query_side.get("/v1/resources", ADA, {**german, "Consistency-Token": token, "Prefer": "wait=0"})
    assert late.json()["detail"] == "Das Lesemodell ist bei Position 0, gefragt war 1: Es liegt 1 zurück."
    forged = await query_side.get("/v1/resources", ADA, german, after="x")
    assert forged.json()["errors"][0]["detail"].startswith("ist kein Cursor dieser Liste")
