"""Pages for people and their tools: Swagger UI without a CDN, a page per problem, the API catalogue."""

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared_kernel.errors import NotFound
from shared_kernel.web.openapi import openapi_document
from shared_kernel.web.problems import known_problems, problem_body, title_of
from shared_kernel.web.translation import Catalogue

ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI sets inline styles and data: images; scripts come from this server only."""

LINKSET_TYPE = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
KEEP_AN_HOUR = {"Cache-Control": "public, max-age=3600"}

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_START = b"""SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null
});
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_STYLE = "body{font:1.1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem}"
_PROBLEM_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p>{detail}</p>
<p><code>{code}</code> &middot; HTTP {status}</p>
</body>
</html>
"""


def documentation_routes(app: FastAPI, catalogue: Catalogue) -> list[Route]:
    """`/openapi.json`, `/docs` with its files, `/problems/{code}` and `/.well-known/api-catalog`."""

    @cache
    def described() -> bytes:
        return openapi_document(app)

    async def openapi(_: Request) -> Response:
        return Response(described(), media_type="application/json", headers={"Cache-Control": "no-cache"})

    async def docs(_: Request) -> Response:
        return HTMLResponse(
            _PAGE.format(title=html.escape(app.title)),
            headers={"Content-Security-Policy": DOCS_CSP, "Referrer-Policy": "no-referrer"},
        )

    async def problem(request: Request) -> Response:
        return _problem_page(request, catalogue)

    return [
        Route("/openapi.json", openapi),
        Route("/docs", docs),
        Route("/docs/{asset}", _asset),
        Route("/problems/{code}", problem),
        Route("/.well-known/api-catalog", _api_catalog),
    ]


async def _asset(request: Request) -> Response:
    name = request.path_params["asset"]
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=KEEP_AN_HOUR)
    if name not in ASSETS:
        raise NotFound
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers=KEEP_AN_HOUR)


def _problem_page(request: Request, catalogue: Catalogue) -> Response:
    code = request.path_params["code"]
    cls = known_problems().get(code)
    if cls is None:
        raise NotFound
    language = catalogue.choose(request.headers.get("accept-language"))
    body = problem_body(cls, instance="")
    explained: dict[str, Any] = {
        "type": body["type"],
        "title": catalogue.say(title_of(code), language),
        "status": cls.status,
        "detail": catalogue.say(body["detail"], language),
        "code": code,
    }
    headers = {**KEEP_AN_HOUR, "Content-Language": language, "Vary": "Accept, Accept-Language"}
    if not _prefers_html(request.headers.get("accept", "")):
        return Response(orjson.dumps(explained), media_type="application/json", headers=headers)
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers["Referrer-Policy"] = "no-referrer"
    shown = {name: html.escape(str(value)) for name, value in explained.items()}
    return HTMLResponse(_PROBLEM_PAGE.format(**shown, language=language, style=_STYLE), headers=headers)


def _prefers_html(accept: str) -> bool:
    # Browsers name text/html first; programs that take anything get JSON.
    named = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    ranks = [named.index(each) for each in ("application/json", "application/problem+json") if each in named]
    return "text/html" in named and all(named.index("text/html") < rank for rank in ranks)


async def _api_catalog(request: Request) -> Response:
    base = _base(request)
    linkset = {
        "anchor": f"{base}/",
        "service-desc": [{"href": f"{base}/openapi.json", "type": "application/json"}],
        "service-doc": [{"href": f"{base}/docs", "type": "text/html"}],
        "status": [{"href": f"{base}/readyz", "type": "application/json"}],
    }
    headers = {"Link": f'<{base}/.well-known/api-catalog>; rel="api-catalog"', "Cache-Control": "no-cache"}
    return Response(orjson.dumps({"linkset": [linkset]}), media_type=LINKSET_TYPE, headers=headers)


def _base(request: Request) -> str:
    """Scheme and host that the caller used; empty (relative links) when the Host header is no host."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else ""
