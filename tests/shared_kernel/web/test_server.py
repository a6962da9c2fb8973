"""A real server on a real port: what only the transport can show."""

import asyncio
import json

import httpx2
import pytest

from shared_kernel.web import server
from shared_kernel.web.proxies import TrustedProxies
from tests.shared_kernel.web.sample_service import SIGNED_IN, SampleServices, sample_application
from tests.shared_kernel.web.serving import served


async def spoken(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything the server says to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def posted(headers: str, body: bytes = b"") -> bytes:
    head = f"POST /v1/things HTTP/1.1\r\nHost: sample\r\nAuthorization: x\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


def problem_in(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def test_server_answers_and_does_not_name_itself() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        answer = await caller.post(f"http://127.0.0.1:{port}/v1/things", json={"name": "Lamp"}, headers=SIGNED_IN)
    assert answer.status_code == 201
    assert "server" not in answer.headers


async def test_chunked_body_without_length_is_bounded() -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    async with served(sample_application()) as port:
        answer = await spoken(port, posted(headers), *[chunk] * 17)
    assert problem_in(answer) == (413, "body-too-large")


async def test_chunked_body_is_taken() -> None:
    headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    async with served(sample_application()) as port:
        answer = await spoken(port, posted(headers), b'8\r\n{"name":\r\n', b'7\r\n"Lamp"}\r\n0\r\n\r\n', pause=0.02)
    assert answer.startswith(b"HTTP/1.1 201")


async def test_connection_is_usable_after_a_refused_body() -> None:
    async with served(sample_application(max_body_bytes=10)) as port, httpx2.AsyncClient() as caller:
        address = f"http://127.0.0.1:{port}"
        for _ in range(3):
            refused = await caller.post(f"{address}/v1/things", json={"name": "x" * 100_000}, headers=SIGNED_IN)
            assert refused.status_code == 413
            assert (await caller.get(f"{address}/v1/things")).status_code == 200


@pytest.mark.asvs("V4.2.1")
@pytest.mark.parametrize(
    "request_",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/things HTTP/1.1\r\nHost sample\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: sample\r\n\r\n",
        b"GET /v1/things HTTP/1.1\r\nHost: sample\r\nX: a\x00b\r\n\r\n",
        posted("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        posted("Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
        posted("Content-Length: 1e1\r\n", b"0123456789"),
        posted("Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"),
    ],
    ids=["noise", "version", "header", "path", "NUL", "two lengths", "lengths differ", "length", "chunk"],
)
async def test_what_is_no_http_is_refused_in_its_own_words(request_: bytes) -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, request_)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


async def test_head_that_never_ends_is_cut() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET / HTTP/1.1\r\nHost: sample\r\n", *[b"X-More: " + b"x" * 8_000 + b"\r\n"] * 20)
    assert answer == b"" or problem_in(answer) == (431, "header-fields-too-large")


async def test_single_header_that_never_ends_is_cut() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET / HTTP/1.1\r\nX-Endless: ", *[b"x" * 16_000] * 10)
    assert answer == b"" or problem_in(answer) == (431, "header-fields-too-large")


async def test_large_head_is_refused_with_a_problem() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET /healthz HTTP/1.1\r\nConnection: close\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
    assert problem_in(answer) == (431, "header-fields-too-large")


async def test_head_that_does_not_arrive_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    async with served(sample_application()) as port:
        assert problem_in(await spoken(port, b"GET / HTTP/1.1\r\nHost: s")) == (408, "request-timeout")


async def test_body_that_does_not_arrive_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.05)
    async with served(sample_application()) as port:
        answer = await spoken(port, posted("Content-Type: application/json\r\nContent-Length: 50\r\n", b'{"name'))
    assert problem_in(answer) == (408, "request-timeout")


async def test_silence_of_our_own_making_is_not_held_against_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE_SECONDS", 1.0)
    services = SampleServices()
    body = b"x" * 900_000
    head = (
        "POST /v1/things/018f2f1e-0000-7000-8000-000000000001/scan HTTP/1.1\r\nHost: s\r\nAuthorization: x\r\n"
        f"Connection: close\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with served(sample_application(services)) as port:
        asyncio.get_running_loop().call_later(2.0, services.release.set)
        answer = await spoken(port, head.encode() + body)
    assert answer.endswith(b"900000")


@pytest.mark.asvs("V4.1.3")
async def test_forwarded_headers_are_not_believed() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        answer = await caller.get(f"http://127.0.0.1:{port}/v1/things", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_forwarded_headers_are_believed_from_a_named_proxy() -> None:
    async with (
        served(sample_application(proxies=TrustedProxies.parse(["127.0.0.1"]))) as port,
        httpx2.AsyncClient() as caller,
    ):
        answer = await caller.get(f"http://127.0.0.1:{port}/v1/things", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" in answer.headers


async def test_broken_answer_breaks_the_connection() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        with pytest.raises(httpx2.RemoteProtocolError):
            await caller.get(f"http://127.0.0.1:{port}/v1/faults/halfway")
