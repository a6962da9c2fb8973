"""Problems as RFC 9457 wants them."""

from collections.abc import Mapping

import httpx2
import pytest
from starlette.exceptions import HTTPException

from shared_kernel.errors import Forbidden, NotFound, Refusal, ServiceUnavailable, TwinlogError, ValidationFailed
from shared_kernel.web.answers import Answers, as_twinlog_error
from shared_kernel.web.problems import (
    BadRequest,
    InternalError,
    UnknownParameter,
    known_problems,
    problem_responses,
)
from shared_kernel.web.translation import Catalogue
from tests.shared_kernel.web.sample_service import SIGNED_IN

THING = "/v1/things/018f2f1e-0000-7000-8000-000000000001"
CONTRACT = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "validation-failed": 422,
    "malformed-body": 400,
    "body-too-large": 413,
    "unsupported-media-type": 415,
    "unknown-parameter": 422,
    "stale-version": 412,
    "version-conflict": 409,
    "idempotency-key-reused": 422,
    "idempotency-in-flight": 409,
    "replay-unavailable": 409,
    "rate-limited": 429,
    "read-model-behind": 503,
    "read-model-parked": 503,
    "log-epoch-changed": 409,
    "internal-error": 500,
}


@pytest.mark.parametrize(("code", "status"), CONTRACT.items())
def test_code_of_the_contract_has_its_status(code: str, status: int) -> None:
    assert known_problems()[code].status == status


def test_errors_that_callers_never_see_are_no_known_problems() -> None:
    codes = set(known_problems())
    assert codes.isdisjoint({"startup-refused", "schema-mismatch", "refusal", "twinlog-error", "port-in-use"})


@pytest.mark.asvs("V4.1.1")
async def test_problem_has_every_member_of_the_contract(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/nowhere")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing here under this address.",
        "instance": f"urn:uuid:{answer.headers['x-request-id']}",
        "code": "not-found",
    }


async def test_missing_token_says_how_to_authenticate(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/things", json={"name": "Lamp"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_wrong_method_names_all_methods_of_the_address(caller: httpx2.AsyncClient) -> None:
    answer = await caller.delete(THING)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PATCH")


async def test_wrong_values_are_pointed_at(caller: httpx2.AsyncClient) -> None:
    body = {"name": "", "tags": ["a", "far too long"], "a/b~c": 1}
    answer = await caller.post("/v1/things", json=body, headers=SIGNED_IN)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert {each["pointer"] for each in answer.json()["errors"]} == {"/name", "/tags/1", "/a~1b~0c"}


async def test_wrong_values_are_not_repeated(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/things", json={"name": "alice@example.org " * 3}, headers=SIGNED_IN)
    assert "alice" not in answer.text


@pytest.mark.parametrize(
    ("path", "pointer"),
    [("/v1/things?limit=0", "/query/limit"), ("/v1/things/no-uuid", "/path/thing_id")],
)
async def test_wrong_parameters_are_pointed_at_with_their_place(
    caller: httpx2.AsyncClient, path: str, pointer: str
) -> None:
    answer = await caller.get(path)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_missing_body_is_a_validation_failure(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/things", headers=SIGNED_IN)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "")


async def test_problem_speaks_german_to_those_who_prefer_it(caller: httpx2.AsyncClient) -> None:
    headers = {**SIGNED_IN, "Accept-Language": "de-DE, en;q=0.5"}
    answer = await caller.post("/v1/things", json={"name": "x" * 21}, headers=headers)
    assert (answer.headers["content-language"], answer.headers["vary"]) == ("de", "Accept-Language")
    assert answer.json()["title"] == "Ungültige Werte"
    assert answer.json()["errors"][0]["detail"] == "darf höchstens 20 Zeichen haben"


async def test_refusal_of_a_feature_speaks_the_features_own_german(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post(f"{THING}/sell", headers={**SIGNED_IN, "Accept-Language": "de"})
    assert (answer.status_code, answer.json()["code"]) == (409, "sold-thing-stays")
    assert answer.json()["detail"] == "Verkauft ist verkauft."


@pytest.mark.asvs("V13.4.2", "V16.5.1")
@pytest.mark.parametrize("fault", ["unexpected", "internal"])
async def test_internal_error_tells_nothing_of_internals(caller: httpx2.AsyncClient, fault: str) -> None:
    answer = await caller.get(f"/v1/faults/{fault}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert not any(word in answer.text for word in ("secret", "alice", "schema", "RuntimeError", "migrate"))


async def test_unreachable_database_is_503_with_retry_after(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/faults/database")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "10.0.0.7" not in answer.text


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "malformed-body"), (404, "not-found"), (418, "bad-request"), (502, "internal-error"), (503, None)],
)
def test_frameworks_errors_become_ours(status: int, code: str | None) -> None:
    assert as_twinlog_error(HTTPException(status)).code() == (code or "service-unavailable")


def test_headers_of_a_frameworks_error_are_kept() -> None:
    error = as_twinlog_error(HTTPException(429, headers={"Retry-After": "7"}))
    assert error.headers["Retry-After"] == "7"


def test_headers_of_an_error_go_with_its_answer() -> None:
    class Busy(ServiceUnavailable):
        """Come back later."""

        headers: Mapping[str, str] = {"Retry-After": "30"}

    answer = Answers(Catalogue()).to(Busy(), None)
    assert answer.headers["retry-after"] == "30"


def test_responses_are_grouped_by_status_with_an_example_each() -> None:
    class LampIsBroken(Refusal):
        """The lamp is broken."""

    responses = problem_responses(NotFound, Forbidden, LampIsBroken)
    examples = responses[409]["content"]["application/problem+json"]["examples"]
    assert set(responses) == {404, 403, 409}
    assert examples["lamp-is-broken"]["value"]["detail"] == "The lamp is broken."


def test_example_needs_none_of_an_errors_arguments() -> None:
    class TooFar(ValidationFailed):
        """That is too far."""

        def __init__(self, miles: int) -> None:
            super().__init__(f"{miles} miles are too far.")

    responses = problem_responses(TooFar, UnknownParameter)
    examples = responses[422]["content"]["application/problem+json"]["examples"]
    assert examples["too-far"]["value"]["errors"] == [{"pointer": "/name", "detail": "Field required"}]
    assert examples["unknown-parameter"]["value"]["errors"][0]["pointer"] == "/query/colour"


def test_retry_after_is_documented_where_it_is_sent() -> None:
    assert "Retry-After" in problem_responses(ServiceUnavailable)[503]["headers"]


def test_unknown_errors_become_internal() -> None:
    assert isinstance(as_twinlog_error(KeyError("x")), InternalError)
    assert isinstance(as_twinlog_error(TwinlogError()), InternalError)
    assert BadRequest.status == 400


@pytest.mark.asvs("V4.1.1")
@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml,*/*;q=0.8", "text/html"])
async def test_problem_page_is_html_for_browsers(caller: httpx2.AsyncClient, accept: str) -> None:
    answer = await caller.get("/problems/stale-version", headers={"Accept": accept, "Accept-Language": "de"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Veralteter Stand</h1>" in answer.text
    assert 'lang="de"' in answer.text
    assert "style-src 'sha256-" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, text/html", "application/problem+json"]
)
async def test_problem_page_is_json_for_programs(caller: httpx2.AsyncClient, accept: str) -> None:
    answer = await caller.get("/problems/sold-thing-stays", headers={"Accept": accept})
    assert answer.json() == {
        "type": "/problems/sold-thing-stays",
        "title": "Sold thing stays",
        "status": 409,
        "detail": "A thing that was sold cannot be changed.",
        "code": "sold-thing-stays",
    }


async def test_every_known_problem_has_a_page(caller: httpx2.AsyncClient) -> None:
    for code in known_problems():
        assert (await caller.get(f"/problems/{code}")).status_code == 200


async def test_unknown_problem_has_no_page(caller: httpx2.AsyncClient) -> None:
    assert (await caller.get("/problems/bad-weather")).status_code == 404
