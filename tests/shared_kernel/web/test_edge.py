"""What happens around every request."""

import json
from uuid import UUID

import httpx2
import pytest
from starlette.types import Message, Scope

from shared_kernel.observability import Metrics
from tests.shared_kernel.web.sample_service import SIGNED_IN, calling, sample_application

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_request_gets_an_id_that_is_its_correlation_id_too(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/things")
    assert UUID(answer.headers["x-request-id"]).version == 7
    assert answer.headers["x-correlation-id"] == answer.headers["x-request-id"]


async def test_correlation_id_of_the_caller_comes_back_and_reaches_the_route(caller: httpx2.AsyncClient) -> None:
    headers = {**SIGNED_IN, "X-Correlation-ID": "order-17"}
    answer = await caller.post("/v1/things", json={"name": "Lamp"}, headers=headers)
    assert answer.headers["x-correlation-id"] == "order-17"
    assert answer.json()["correlation_id"] == "order-17"


@pytest.mark.parametrize("value", ["a b", "x" * 129, "<script>", "", "alice@example.org"])
async def test_unsafe_correlation_id_is_refused_and_not_repeated(caller: httpx2.AsyncClient, value: str) -> None:
    answer = await caller.get("/v1/things", headers={"X-Correlation-ID": value})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-header")
    assert answer.headers["x-correlation-id"] == answer.headers["x-request-id"]


@pytest.mark.asvs("V3.4.4")
@pytest.mark.parametrize("path", ["/v1/things", "/v1/nowhere", "/v1/faults/unexpected", "/healthz", "/docs"])
async def test_every_answer_carries_ids_and_security_headers(caller: httpx2.AsyncClient, path: str) -> None:
    answer = await caller.get(path)
    assert {"x-request-id", "x-correlation-id", "cache-control"} <= set(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.asvs("V14.2.2", "V14.3.2")
async def test_answers_are_not_stored_unless_the_route_says_so(caller: httpx2.AsyncClient) -> None:
    assert (await caller.get("/v1/things")).headers["cache-control"] == "no-store"
    read = await caller.get("/v1/things/018f2f1e-0000-7000-8000-000000000001")
    assert read.headers.get_list("cache-control") == ["private, no-cache"]


@pytest.mark.asvs("V3.4.1")
async def test_browsers_are_told_to_stay_with_https_where_it_is_spoken() -> None:
    async with calling(sample_application(), base_url="https://sample") as caller:
        answer = await caller.get("/v1/things")
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


@pytest.mark.asvs("V14.2.1")
@pytest.mark.parametrize("query", ["colour=red", "limit=1&Limit=2", "limit[]=1", "%6cimi=1", "=x", "a/b=1&limit=2"])
async def test_unknown_parameter_is_refused(caller: httpx2.AsyncClient, query: str) -> None:
    answer = await caller.get(f"/v1/things?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-parameter")


async def test_unknown_parameters_are_named(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/things?colour=red&limit=1&a/b=2")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/query/colour", "/query/a~1b"]


@pytest.mark.parametrize("path", ["/healthz?x=1", "/docs?x", "/problems/not-found?x=1", "/openapi.json?x=1"])
async def test_no_route_takes_what_it_does_not_know(caller: httpx2.AsyncClient, path: str) -> None:
    assert (await caller.get(path)).json()["code"] == "unknown-parameter"


@pytest.mark.asvs("V15.3.7")
async def test_parameter_given_twice_is_refused_unless_it_is_a_list(caller: httpx2.AsyncClient) -> None:
    twice = await caller.get("/v1/things?limit=1&limit=2")
    assert (twice.status_code, twice.json()["errors"][0]["pointer"]) == (422, "/query/limit")
    assert (await caller.get("/v1/things?tag=a&tag=b")).json()["tags"] == ["a", "b"]


@pytest.mark.asvs("V1.1.1")
@pytest.mark.parametrize("query", ["after=%00", "after=%ff", "after=%ed%a0%80", "&".join(["limit=1"] * 101)])
async def test_query_that_is_no_text_is_refused(caller: httpx2.AsyncClient, query: str) -> None:
    answer = await caller.get(f"/v1/things?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


@pytest.mark.parametrize("path", ["/v1/things/", "//v1/things", "/v1/things/a%00b", "/V1/things", "/v1/things%2F"])
async def test_nothing_lives_beside_the_exact_address(caller: httpx2.AsyncClient, path: str) -> None:
    assert (await caller.get(path)).status_code in {404, 422}


async def test_too_many_header_fields_are_refused(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/things", headers={f"X-{n}": "1" for n in range(100)})
    assert (answer.status_code, answer.json()["code"]) == (431, "header-fields-too-large")


async def test_too_large_header_fields_are_refused(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/v1/things", headers={"X-Large": "x" * 32_768})
    assert answer.status_code == 431


async def test_other_headers_may_come_twice(caller: httpx2.AsyncClient) -> None:
    headers = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "192.0.2.2"), ("Accept", "a/b"), ("Accept", "c/d")]
    assert (await caller.get("/v1/things", headers=headers)).status_code == 200


async def test_lifespan_passes_through() -> None:
    received: list[Message] = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
    sent: list[str] = []

    async def receive() -> Message:
        return received.pop()

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await sample_application()({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_answer_that_breaks_halfway_is_not_finished() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1/faults/halfway",
        "raw_path": b"/v1/faults/halfway",
        "query_string": b"",
        "headers": [],
        "server": ("sample", 80),
        "client": ("127.0.0.1", 5000),
        "root_path": "",
    }
    await sample_application()(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]


@pytest.mark.asvs("V16.2.1")
async def test_request_is_logged_once_without_values(
    caller: httpx2.AsyncClient, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    headers = {**SIGNED_IN, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Correlation-ID": "order-17"}
    await caller.patch("/v1/things/018f2f1e-0000-7000-8000-000000000001", json={"name": "Alice"}, headers=headers)
    await caller.get("/v1/things?after=alice")
    lines = [json.loads(line) for line in capfdbinary.readouterr().err.splitlines()]
    patched, listed = [line for line in lines if line["event"] == "request"]
    assert patched["route"] == "/v1/things/{thing_id}"
    assert (patched["method"], patched["status"], patched["correlation_id"]) == ("PATCH", 200, "order-17")
    assert patched["trace_id"] == TRACE
    assert patched["duration_ms"] > 0
    assert listed["route"] == "/v1/things"
    assert "lice" not in json.dumps(lines)


@pytest.mark.asvs("V16.3.4")
async def test_error_is_logged_without_its_message(
    caller: httpx2.AsyncClient, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    answer = await caller.get("/v1/faults/unexpected")
    written = capfdbinary.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    failed = next(line for line in lines if line["event"] == "request failed")
    assert failed["request_id"] == answer.headers["x-request-id"]
    assert failed["exception"][0]["type"] == "RuntimeError"
    assert any("raise_unexpected" in frame for frame in failed["exception"][0]["frames"])
    assert b"alice" not in written


async def test_requests_are_counted_by_template_method_and_status() -> None:
    metrics = Metrics("sample")
    async with calling(sample_application(metrics=metrics)) as caller:
        await caller.get("/v1/things/018f2f1e-0000-7000-8000-000000000001")
        await caller.get("/v1/things/018f2f1e-0000-7000-8000-000000000002")
        await caller.get("/v1/wherever")
        await caller.request("BREW", "/v1/things")
    text = metrics.render().decode()
    assert 'twinlog_http_requests_total{method="GET",route="/v1/things/{thing_id}",status="200"} 2.0' in text
    assert 'twinlog_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'twinlog_http_requests_total{method="other",route="unmatched",status="405"} 1.0' in text
    assert 'twinlog_http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1.0' in text
