"""Pages that work without the network."""

import re

import httpx2
import pytest

from tests.shared_kernel.web.sample_service import calling, sample_application


@pytest.mark.asvs("V3.4.3", "V14.2.3")
async def test_docs_need_nothing_but_this_server(caller: httpx2.AsyncClient) -> None:
    page = await caller.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        asset = await caller.get(f"/{address}")
        assert asset.status_code == 200, address
        assert asset.headers["cache-control"] == "public, max-age=3600"


async def test_docs_run_no_inline_script(caller: httpx2.AsyncClient) -> None:
    page = await caller.get("/docs")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script(?![^>]* src=)", page.text) == []


async def test_docs_show_our_own_document(caller: httpx2.AsyncClient) -> None:
    start = await caller.get("/docs/start.js")
    assert start.headers["content-type"].startswith("text/javascript")
    assert 'url: "openapi.json"' in start.text
    assert "validatorUrl: null" in start.text


async def test_docs_assets_are_the_interface(caller: httpx2.AsyncClient) -> None:
    script = await caller.get("/docs/swagger-ui-bundle.js")
    style = await caller.get("/docs/swagger-ui.css")
    assert b"SwaggerUIBundle" in script.content
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.asvs("V13.4.3")
@pytest.mark.parametrize("name", ["favicon.png", "..%2Fcore.py", "core.py"])
async def test_docs_serve_no_other_file(caller: httpx2.AsyncClient, name: str) -> None:
    assert (await caller.get(f"/docs/{name}")).status_code == 404


@pytest.mark.asvs("V1.1.2", "V1.2.1", "V3.2.2")
async def test_title_is_shown_as_text() -> None:
    app = sample_application()
    app.title = "<b>Sample</b>"
    async with calling(app) as caller:
        assert "&lt;b&gt;Sample" in (await caller.get("/docs")).text


async def test_api_catalogue_links_what_machines_look_for(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/.well-known/api-catalog")
    assert answer.headers["content-type"].startswith("application/linkset+json")
    assert answer.headers["link"] == '<http://sample/.well-known/api-catalog>; rel="api-catalog"'
    (linkset,) = answer.json()["linkset"]
    assert linkset["anchor"] == "http://sample/"
    for relation in ("service-desc", "service-doc", "status"):
        (target,) = linkset[relation]
        assert (await caller.get(target["href"])).status_code == 200


async def test_api_catalogue_does_not_repeat_a_strange_host(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get("/.well-known/api-catalog", headers={"Host": 'x"><script>'})
    assert answer.json()["linkset"][0]["anchor"] == "/"
