"""Health, readiness and metrics."""

import asyncio
from collections.abc import Mapping

import pytest
from fastapi import FastAPI

from shared_kernel.observability import Metrics
from shared_kernel.web import probes
from shared_kernel.web.application import probe_application
from tests.shared_kernel.web.sample_service import SampleServices, calling, sample_application

FOREIGN = ("192.0.2.7", 5000)


class StuckServices(SampleServices):
    async def readiness(self) -> Mapping[str, str]:
        await asyncio.get_running_loop().create_future()
        return {}


class BrokenServices(SampleServices):
    async def readiness(self) -> Mapping[str, str]:
        raise RuntimeError("password=hunter2")


@pytest.mark.parametrize("app", [sample_application(), probe_application("relay", SampleServices())])
async def test_process_that_runs_is_healthy(app: FastAPI) -> None:
    async with calling(app) as caller:
        answer = await caller.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_service_is_ready_when_nothing_is_missing() -> None:
    async with calling(sample_application()) as caller:
        answer = await caller.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"database": "ok"}})


async def test_service_says_why_it_is_not_ready() -> None:
    async with calling(probe_application("relay", SampleServices({"redis": "cannot be reached"}))) as caller:
        answer = await caller.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "checks": {"database": "ok", "redis": "cannot be reached"}}


async def test_readiness_check_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "READINESS_SECONDS", 0.01)
    async with calling(sample_application(StuckServices())) as caller:
        answer = await caller.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, {"readiness": "no answer within 0.01 seconds"})


async def test_readiness_check_that_fails_tells_nothing() -> None:
    async with calling(sample_application(BrokenServices())) as caller:
        answer = await caller.get("/readyz")
    assert answer.status_code == 503
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("client", [("127.0.0.1", 1), ("127.8.8.8", 1), ("::1", 1)])
async def test_metrics_are_shown_on_loopback(client: tuple[str, int]) -> None:
    async with calling(sample_application(), client) as caller:
        answer = await caller.get("/metrics")
    assert answer.status_code == 200
    assert 'twinlog_build_info{service="sample",' in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.asvs("V13.4.5")
@pytest.mark.parametrize("client", [FOREIGN, ("unix socket", 0)])
async def test_metrics_are_not_shown_to_others(client: tuple[str, int]) -> None:
    async with calling(sample_application(), client) as caller:
        assert (await caller.get("/metrics")).status_code == 403


@pytest.mark.asvs("V13.4.5")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_metrics_are_not_shown_through_a_local_proxy(header: str) -> None:
    async with calling(sample_application()) as caller:
        assert (await caller.get("/metrics", headers={header: "127.0.0.1"})).status_code == 403


async def test_scrape_token_opens_the_metrics() -> None:
    async with calling(sample_application(scrape_token="right"), FOREIGN) as caller:
        assert (await caller.get("/metrics", headers={"Authorization": "Bearer right"})).status_code == 200
        assert (await caller.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 403
        assert (await caller.get("/metrics")).status_code == 403


async def test_services_may_bring_their_own_metrics() -> None:
    services = SampleServices()
    services.metrics = Metrics("sample")  # type: ignore[attr-defined] # a service may have more than the sample needs
    services.metrics.gauge("lag", "How far behind.").set(7)  # type: ignore[attr-defined] # see above
    async with calling(sample_application(services)) as caller:
        assert "twinlog_lag 7.0" in (await caller.get("/metrics")).text


async def test_process_without_api_has_nothing_else() -> None:
    async with calling(probe_application("relay", SampleServices())) as caller:
        for path in ("/docs", "/openapi.json", "/v1/things"):
            assert (await caller.get(path)).status_code == 404
