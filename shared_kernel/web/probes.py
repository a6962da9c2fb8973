"""What machines ask: is the process alive, can it do its work, what does it measure."""

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared_kernel.errors import Forbidden
from shared_kernel.observability import Metrics, get_logger

READINESS_SECONDS = 3.0
FINE = "ok"

_log = get_logger("twinlog.readiness")


class Ready(Protocol):
    """What a service offers so that `/readyz` can answer."""

    async def readiness(self) -> Mapping[str, str]:
        """Each thing the service needs, and the reason in words why it cannot be used; empty when it can."""
        ...


def probe_routes(services: Ready, metrics: Metrics, scrape_token: str | None) -> list[Route]:
    """`/healthz`, `/readyz` and `/metrics`; the last for loopback callers, and for those who know the token."""

    async def healthz(_: Request) -> Response:
        return _json({"status": FINE})

    async def readyz(_: Request) -> Response:
        checks = await _checked(services)
        ready = not any(checks.values())
        body = {
            "status": "ready" if ready else "unavailable",
            "checks": {name: reason or FINE for name, reason in checks.items()},
        }
        return _json(body, 200 if ready else 503)

    async def scrape(request: Request) -> Response:
        if not (_is_local(request) or _has_token(request, scrape_token)):
            raise Forbidden
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scrape)]


async def _checked(services: Ready) -> Mapping[str, str]:
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            return await services.readiness()
    except TimeoutError:
        return {"readiness": f"no answer within {READINESS_SECONDS:g} seconds"}
    except Exception as error:  # noqa: BLE001 - a check that breaks must say "not ready", whatever broke it
        _log.error("readiness check failed", exc_info=error)
        return {"readiness": "the check itself failed"}


def _is_local(request: Request) -> bool:
    # Behind a proxy on this machine everybody seems local; a proxy says so with one of these headers.
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _has_token(request: Request, scrape_token: str | None) -> bool:
    if not scrape_token:
        return False
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode("latin-1"), f"Bearer {scrape_token}".encode())


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    headers = {"Retry-After": "1"} if status == 503 else None
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
