"""What browsers are told: other origins read nothing unless they are listed, and nothing of ours is run or embedded."""

import httpx2
import pytest

from shared_kernel.web.browsers import BrowserRules
from tests.shared_kernel.web.sample_service import SIGNED_IN, calling, sample_application

APP, OTHER = "https://app.example.com", "https://evil.example.com"
RULES = BrowserRules.of([APP, "http://localhost:3000"])
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
ANYWHERE = ["/v1/things", "/v1/nowhere", "/v1/faults/unexpected", "/healthz", "/openapi.json"]


def told(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.asvs("V3.2.1", "V3.4.3", "V3.4.6")
@pytest.mark.parametrize("path", ANYWHERE)
async def test_nothing_that_is_answered_may_be_run_framed_or_embedded(caller: httpx2.AsyncClient, path: str) -> None:
    answer = await caller.get(path)
    assert answer.headers.get_list("content-security-policy") == [
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    ]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.asvs("V3.4.3", "V3.4.5")
@pytest.mark.parametrize("path", ["/docs", "/problems/not-found"])
async def test_pages_for_people_say_themselves_what_they_run(caller: httpx2.AsyncClient, path: str) -> None:
    answer = await caller.get(path, headers={"Accept": "text/html"})
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "unsafe-eval" not in policy


async def test_no_origin_is_listed_unless_somebody_lists_it(caller: httpx2.AsyncClient) -> None:
    for headers in ({"Origin": APP}, {"Origin": APP, **PREFLIGHT}):
        assert told(await caller.get("/v1/things", headers=headers)) == {}
    preflight = await caller.options("/v1/things", headers={"Origin": APP, **PREFLIGHT})
    assert (preflight.status_code, told(preflight)) == (405, {})


@pytest.mark.asvs("V3.4.2")
@pytest.mark.parametrize("path", ANYWHERE)
async def test_listed_origin_reads_every_answer_errors_too(path: str) -> None:
    async with calling(sample_application(browsers=RULES)) as caller:
        answer = await caller.get(path, headers={"Origin": APP})
        assert answer.headers["access-control-allow-origin"] == APP
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in ", ".join(answer.headers.get_list("vary"))


@pytest.mark.asvs("V3.4.2")
@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "",
        "*",
        "https://app.example.com.evil.example",
        "https://app.example.com:444",
        "http://app.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://xapp.example.com",
    ],
)
async def test_every_other_origin_is_told_nothing(origin: str) -> None:
    async with calling(sample_application(browsers=RULES)) as caller:
        answer = await caller.get("/v1/things", headers={"Origin": origin})
        assert told(answer) == {}
        assert "Origin" in ", ".join(answer.headers.get_list("vary"))
        preflight = await caller.options("/v1/things", headers={"Origin": origin, **PREFLIGHT})
        assert (preflight.status_code, told(preflight)) == (405, {})


async def test_preflight_of_a_listed_origin_names_what_the_address_takes() -> None:
    async with calling(sample_application(browsers=RULES)) as caller:
        answer = await caller.options("/v1/things", headers={"Origin": APP, **PREFLIGHT})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == APP
        assert "POST" in answer.headers["access-control-allow-methods"]
        for name in ("Authorization", "Idempotency-Key", "If-Match", "Consistency-Token", "Content-Type", "Tenant"):
            assert name in answer.headers["access-control-allow-headers"]
        nowhere = await caller.options("/v1/nowhere", headers={"Origin": APP, **PREFLIGHT})
        assert nowhere.headers["access-control-allow-methods"] == ""
        plain = await caller.options("/v1/things", headers={"Origin": APP})
        assert plain.status_code == 405


@pytest.mark.asvs("V3.5.1", "V3.5.2")
@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_what_a_page_may_send_without_asking_is_refused(caller: httpx2.AsyncClient, media_type: str) -> None:
    """The content types of a form: a browser sends them to anybody, so no JSON is ever read from one."""
    headers = {**SIGNED_IN, "Content-Type": media_type, "Origin": OTHER}
    answer = await caller.post("/v1/things", content=b'{"name": "Lamp"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    bare = await caller.post("/v1/things", content=b'{"name": "Lamp"}', headers=SIGNED_IN)
    assert bare.status_code == 415


@pytest.mark.parametrize(
    "text", ["*", "null", "app.example.com", "https://a.b/", "https://a.b/x", "ftp://a.b", "https://", "https://A.b"]
)
def test_what_is_no_origin_cannot_be_listed(text: str) -> None:
    with pytest.raises(ValueError, match="must be origins"):
        BrowserRules.of([text])
