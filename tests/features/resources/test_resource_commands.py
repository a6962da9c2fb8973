"""Resources over HTTP: what is answered, what is in the log, and who may."""

from typing import Any

import pytest

from tests.support.command_side import CommandSide, Person

NOWHERE = "/v1/resources/0192f000-0000-7000-8000-00000000dead"
CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("PATCH", "", {"name": "x"}),
    ("POST", "/archive", None),
    ("POST", "/restore", None),
)


@pytest.fixture
async def ada(command_side: CommandSide) -> Person:
    return await command_side.register("Ada")


async def test_creation_answers_201_with_location_etag_and_token(command_side: CommandSide, ada: Person) -> None:
    body = {
        "name": "orjson",
        "description": "Fast JSON",
        "classification": "public",
        "attributes": {"licence": "MIT"},
        "tags": ["json"],
    }
    answer = await command_side.send("POST", "/v1/resources", body, by=ada)
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "version", "position"}
    assert answer.headers["Location"] == f"/v1/resources/{answer.json()['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Consistency-Token"]
    assert answer.headers["X-Request-ID"]
    assert await command_side.topics_of(answer.headers["Location"]) == ["ResourceCreated"]


async def test_every_change_is_one_event_and_a_new_version(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    positions = []
    for version, (method, step, body) in enumerate(
        (("PATCH", "", {"name": "other"}), ("POST", "/archive", None), ("POST", "/restore", None)), start=2
    ):
        answer = await command_side.send(method, path + step, body, by=ada)
        assert answer.status_code == 200
        assert answer.json()["version"] == version
        assert answer.headers["ETag"] == f'"{version}"'
        assert "Location" not in answer.headers
        positions.append(answer.json()["position"])
    assert positions == sorted(set(positions))
    expected = ["ResourceCreated", "ResourceDetailsChanged", "ResourceArchived", "ResourceRestored"]
    assert await command_side.topics_of(path) == expected


async def test_no_op_says_so_and_appends_nothing(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada, "orjson")
    for method, step, body in (("PATCH", "", {"name": "orjson"}), ("PATCH", "", {}), ("POST", "/restore", None)):
        answer = await command_side.send(method, path + step, body, by=ada)
        assert (answer.status_code, answer.headers["ETag"]) == (200, '"1"')
        assert answer.json()["changed"] is False
        assert answer.json()["version"] == 1
    assert await command_side.topics_of(path) == ["ResourceCreated"]


async def test_archived_resource_refuses_changes_with_409(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("POST", f"{path}/archive", by=ada)
    answer = await command_side.send("PATCH", path, {"name": "other"}, by=ada)
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "archived-resource-refuses-changes"
    assert problem["type"] == "/problems/archived-resource-refuses-changes"
    assert (await command_side.http.get(problem["type"])).status_code == 200


async def test_refusal_is_said_in_the_callers_language(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("POST", f"{path}/archive", by=ada)
    answer = await command_side.send("PATCH", path, {}, by=ada, Accept_Language="de")
    assert answer.json()["title"] == "Archivierte Ressource bleibt unverändert"


async def test_attributes_outgrow_their_limits_with_409(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada, attributes={f"a{n}": n for n in range(40)})
    answer = await command_side.send("PATCH", path, {"attributes": {f"b{n}": n for n in range(40)}}, by=ada)
    assert (answer.status_code, answer.json()["code"]) == (409, "attributes-outgrow-their-limits")


@pytest.mark.asvs("V2.2.2")
async def test_bad_details_are_422_with_a_pointer(command_side: CommandSide, ada: Person) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "x", "colour": "blue"}, "/colour"),
        ({"name": "x", "classification": "secret"}, "/classification"),
        ({"name": "x", "tags": ["Upper"]}, "/tags/0"),
        ({"name": "x", "tags": [f"t{n}" for n in range(21)]}, "/tags"),
        ({"name": "x", "attributes": [1]}, "/attributes"),
        ({"name": "x", "attributes": {"a": {"b": {"c": {"d": {"e": {}}}}}}}, "/attributes"),
    ]
    for body, pointer in cases:
        answer = await command_side.send("POST", "/v1/resources", body, by=ada)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), body
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_bad_patches_are_422(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    headers = {"Authorization": f"Bearer {command_side.access_token(ada)}"}
    bodies: list[Any] = [{"name": None}, {"classification": None}, {"state": "archived"}, [], "text", None]
    for body in bodies:
        answer = await command_side.http.patch(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), body


async def test_patch_is_taken_as_merge_patch_and_as_plain_json_only(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    signed_in = {"Authorization": f"Bearer {command_side.access_token(ada)}"}
    for media_type, status in (
        ("application/merge-patch+json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/json-patch+json", 415),
        ("text/plain", 415),
    ):
        headers = {**signed_in, "Content-Type": media_type}
        answer = await command_side.http.patch(path, content=b'{"name":"other"}', headers=headers)
        assert answer.status_code == status, media_type


async def test_malformed_json_is_400(command_side: CommandSide, ada: Person) -> None:
    headers = {"Authorization": f"Bearer {command_side.access_token(ada)}", "Content-Type": "application/json"}
    for content in (b"{", b"\xff", b'{"name": "a", "name": "b"}', b'{"name": NaN}', b"[" * 100_000):
        answer = await command_side.http.post("/v1/resources", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body"), content[:20]


async def test_body_over_one_mebibyte_is_413(command_side: CommandSide, ada: Person) -> None:
    answer = await command_side.send("POST", "/v1/resources", {"name": "x" * 1_048_577}, by=ada)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_unknown_query_parameter_and_method_are_refused(command_side: CommandSide, ada: Person) -> None:
    unknown = await command_side.send("POST", "/v1/resources?dry=1", {"name": "x"}, by=ada)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown-parameter")
    method = await command_side.send("PUT", "/v1/resources", {"name": "x"}, by=ada)
    assert (method.status_code, method.json()["code"]) == (405, "method-not-allowed")
    assert method.headers["Allow"] == "POST"


async def test_unknown_resource_is_404(command_side: CommandSide, ada: Person) -> None:
    for method, step, body in (("PATCH", "", {}), ("POST", "/archive", None), ("POST", "/restore", None)):
        answer = await command_side.send(method, NOWHERE + step, body, by=ada)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.asvs("V8.2.2")
async def test_only_owner_and_admin_may_change_a_resource(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada, classification="public")
    others = {
        "member": await command_side.register("Bob"),
        "operator": await command_side.register("Oda", roles=("member", "operator")),
        "auditor": await command_side.register("Ava", roles=("member", "auditor")),
    }
    for role, person in others.items():
        for method, step, body in (
            ("PATCH", "", {"name": "x"}),
            ("POST", "/archive", None),
            ("POST", "/restore", None),
        ):
            answer = await command_side.send(method, path + step, body, by=person)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), role
    admin = await command_side.register("Adm", roles=("member", "admin"))
    assert (await command_side.send("PATCH", path, {"name": "x"}, by=admin)).status_code == 200
    assert await command_side.topics_of(path) == ["ResourceCreated", "ResourceDetailsChanged"]


@pytest.mark.asvs("V8.2.2", "V8.4.1")
async def test_another_tenants_resource_is_404_even_for_its_admins(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada, classification="public")
    await command_side.create_tenant("acme")
    stranger = await command_side.register("Eve", tenant="acme", roles=("member", "admin"))
    for method, step, body in CHANGES:
        answer = await command_side.send(method, path + step, body, by=stranger)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert await command_side.topics_of(path) == ["ResourceCreated"]


@pytest.mark.asvs("V10.3.2")
async def test_token_without_roles_opens_nothing(command_side: CommandSide, ada: Person) -> None:
    nobody = Person(ada.id, ada.email, roles=())
    answer = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=nobody)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_if_match_guards_against_lost_changes(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    first = await command_side.send("PATCH", path, {"name": "b"}, by=ada, If_Match='"1"')
    assert first.status_code == 200
    stale = await command_side.send("PATCH", path, {"name": "c"}, by=ada, If_Match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    assert (await command_side.send("PATCH", path, {"name": "c"}, by=ada, If_Match='"1", "2"')).status_code == 200
    assert (await command_side.send("PATCH", path, {"name": "d"}, by=ada, If_Match="*")).status_code == 200


async def test_other_tags_never_match_and_malformed_ones_are_400(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    for value, status in (('W/"1"', 412), ('"abc"', 412), ('"0"', 412), ("1", 400), ('"1', 400)):
        answer = await command_side.send("POST", f"{path}/archive", by=ada, If_Match=value)
        assert answer.status_code == status, value


async def test_stale_condition_is_412_even_when_there_is_nothing_to_do(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    assert (await command_side.send("POST", f"{path}/restore", by=ada, If_Match='"7"')).status_code == 412


async def test_metadata_names_actor_and_correlation_and_nobody(command_side: CommandSide, ada: Person) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X_Correlation_ID": "order-4711", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    answer = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, **headers)
    assert answer.headers["X-Correlation-ID"] == "order-4711"
    (row,) = await command_side.rows(
        "SELECT convert_from(metadata, 'UTF8')::json AS metadata FROM events WHERE position = %s",
        answer.json()["position"],
    )
    metadata = row["metadata"]
    assert (metadata["actor"], metadata["correlation_id"], metadata["trace_id"]) == (str(ada.id), "order-4711", trace)
    assert metadata.keys() == {
        *("actor", "correlation_id", "causation_id", "trace_id", "occurred_at", "schema_version"),
    }
