"""Remote keys over real HTTP: fetched once for many, again when needed, and kept through an outage."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import orjson
import pytest
from structlog.testing import capture_logs

from shared_kernel.auth.claims import TokenRefused, UnknownKey
from shared_kernel.auth.jwks import (
    MAX_AGE,
    MAX_BYTES,
    MIN_INTERVAL,
    PATH,
    RETRY_INTERVAL,
    STALE_LIMIT,
    TIMEOUT,
    RemoteKeys,
    RemoteVerifier,
    _by_kid,
    document_of,
)
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.errors import ServiceUnavailable
from tests.shared_kernel.auth.forging import Both

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
FIRST = SigningKey.from_pem(SigningKey.generate_pem())
SECOND = SigningKey.from_pem(SigningKey.generate_pem())
WHO = Principal(UUID(int=1), "default", UUID(int=2), ("member",), "pwd", 1)


class CommandService:
    """A small HTTP server with one document."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.methods: set[str] = set()
        self.pieces = 1
        self.status = 200
        self.body = orjson.dumps(TokenSigner(FIRST).jwks())
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.decode().split(" ")[:2]
        self.methods.add(method)
        self.requests.append(path)
        await asyncio.sleep(0.01)
        writer.write(
            f"HTTP/1.1 {self.status} Any\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n"
            f"Location: {self.url}/elsewhere\r\n\r\n".encode()
        )
        size = len(self.body) // self.pieces + 1
        for start in range(0, len(self.body), size):
            writer.write(self.body[start : start + size])
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
async def service() -> AsyncIterator[CommandService]:
    service = CommandService()
    server = await asyncio.start_server(service.answer, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield service


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def keys(service: CommandService, clock: Hand) -> AsyncIterator[RemoteKeys]:
    remote = RemoteKeys(service.url + "/", clock=clock)
    yield remote
    await remote.aclose()


def token_of(key: SigningKey, jti: str = "1") -> str:
    return TokenSigner(key).sign(WHO, jti=jti, now=NOW)


async def test_token_is_verified_with_fetched_keys(keys: RemoteKeys, service: CommandService) -> None:
    verifier = RemoteVerifier(keys)
    assert (await verifier.verify(token_of(FIRST), NOW)).principal == WHO
    assert (await verifier.verify(token_of(FIRST, "2"), NOW)).jti == "2"
    assert (service.requests, service.methods) == (["/.well-known/jwks.json"], {"GET"})


async def test_many_who_ask_at_once_cause_one_request(keys: RemoteKeys, service: CommandService) -> None:
    assert all(await asyncio.gather(*(keys.refresh() for _ in range(50))))
    assert not await keys.refresh(), "just fetched: nothing new was learnt"
    assert len(service.requests) == 1


async def test_one_who_gives_up_does_not_take_the_others_answer_along(keys: RemoteKeys) -> None:
    impatient, patient = asyncio.create_task(keys.refresh()), asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient
    assert FIRST.kid in keys.keys


async def test_keys_are_fetched_again_after_five_minutes(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MAX_AGE
    await verifier.verify(token_of(FIRST), NOW)
    assert len(service.requests) == 1
    clock.time += 1
    await verifier.verify(token_of(FIRST), NOW)
    assert len(service.requests) == 2


async def test_unknown_key_id_fetches_the_keys_at_most_every_30_seconds(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    service.body = orjson.dumps(TokenSigner(Both(SECOND, FIRST)).jwks())
    for _ in range(20):
        with pytest.raises(UnknownKey):
            await verifier.verify(token_of(SECOND), NOW)
    assert len(service.requests) == 1
    clock.time += MIN_INTERVAL
    assert (await verifier.verify(token_of(SECOND), NOW)).principal == WHO
    assert len(service.requests) == 2


async def test_key_that_nobody_publishes_is_refused_after_one_refetch(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MIN_INTERVAL
    with pytest.raises(UnknownKey):
        await verifier.verify(token_of(SECOND), NOW)
    assert len(service.requests) == 2


async def test_bad_token_under_a_known_key_fetches_nothing(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MIN_INTERVAL
    with pytest.raises(TokenRefused):
        await verifier.verify(token_of(FIRST)[:-4] + "AAAA", NOW)
    assert len(service.requests) == 1


async def test_last_keys_serve_through_an_outage_of_an_hour(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    service.status = 500
    clock.time += STALE_LIMIT
    assert (await verifier.verify(token_of(FIRST), NOW)).principal == WHO
    clock.time += RETRY_INTERVAL
    with pytest.raises(ServiceUnavailable):
        await verifier.verify(token_of(FIRST), NOW)


async def test_failure_is_retried_after_a_second_not_at_once(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    service.status = 503
    for _ in range(10):
        with pytest.raises(ServiceUnavailable):
            await verifier.verify(token_of(FIRST), NOW)
    assert len(service.requests) == 1
    service.status = 200
    clock.time += RETRY_INTERVAL
    assert (await verifier.verify(token_of(FIRST), NOW)).principal == WHO


@pytest.mark.asvs("V16.5.2")
async def test_unreachable_service_means_503_never_allowed(unused_tcp_port: int) -> None:
    keys = RemoteKeys(f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(ServiceUnavailable):
        await RemoteVerifier(keys).verify(token_of(FIRST), NOW)
    await keys.aclose()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "EC"}]}',
        b'{"keys": [{"kid": 1}]}',
        b'{"keys": ["' + b"x" * 70_000 + b'"]}',
    ],
    ids=["empty", "text", "list", "no-keys", "none", "object", "number", "no-kid", "kid-type", "huge"],
)
async def test_anything_but_a_key_document_changes_nothing(
    keys: RemoteKeys, service: CommandService, clock: Hand, body: bytes
) -> None:
    assert await keys.refresh()
    before = dict(keys.keys)
    service.body = body
    clock.time += MAX_AGE
    assert not await keys.refresh()
    assert dict(keys.keys) == before


@pytest.mark.asvs("V15.3.2")
@pytest.mark.parametrize("status", [301, 302, 307, 404, 204, 500])
async def test_other_status_changes_nothing_and_no_redirect_is_followed(
    keys: RemoteKeys, service: CommandService, status: int
) -> None:
    service.status = status
    assert not await keys.refresh()
    assert len(service.requests) == 1
    with pytest.raises(ServiceUnavailable):
        _ = keys.keys


async def test_failure_is_logged_with_its_kind_and_how_many_keys_are_still_known(
    keys: RemoteKeys, service: CommandService, clock: Hand
) -> None:
    service.body = orjson.dumps(TokenSigner(Both(SECOND, FIRST)).jwks())
    await keys.refresh()
    service.body = b"not json"
    clock.time += MAX_AGE
    with capture_logs() as lines:
        await keys.refresh()
    assert lines == [
        {"event": "keys cannot be fetched", "log_level": "warning", "error": "JSONDecodeError", "known": 2}
    ]


async def test_document_may_come_in_pieces_and_be_as_large_as_the_limit(
    keys: RemoteKeys, service: CommandService
) -> None:
    service.body = service.body.ljust(MAX_BYTES)
    service.pieces = 3
    assert await keys.refresh()
    assert list(keys.keys) == [FIRST.kid]


@pytest.mark.parametrize(
    ("status", "body", "why"), [(404, b"{}", "status 404"), (200, b"x" * (MAX_BYTES + 1), "the document is too large")]
)
async def test_document_is_refused_for_the_reason_that_is_wrong_with_it(
    service: CommandService, status: int, body: bytes, why: str
) -> None:
    service.status, service.body = status, body
    async with httpx2.AsyncClient() as client:
        with pytest.raises(ValueError, match=f"^{why}$"):
            await document_of(client, service.url)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "not a JWK set"),
        ({"keys": []}, "not a JWK set"),
        ({"keys": "abc"}, "not a JWK set"),
        ({"keys": [{"kid": "a"}, {}]}, "a key has no kid"),
        ({"keys": [{"kid": "a"}, "b"]}, "a key has no kid"),
    ],
)
def test_key_set_is_refused_for_the_reason_that_is_wrong_with_it(document: object, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        _by_kid(document)


async def test_proxy_of_the_surroundings_never_sees_the_question(
    service: CommandService, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    keys = RemoteKeys(service.url)
    assert await keys.refresh()
    await keys.aclose()


async def test_nobody_waits_longer_than_two_seconds_for_keys(service: CommandService) -> None:
    keys = RemoteKeys(service.url + "//")
    assert keys._client.timeout == httpx2.Timeout(TIMEOUT)
    assert keys._url == service.url + PATH
    await keys.aclose()
