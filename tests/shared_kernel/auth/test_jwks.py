"""Remote keys over real HTTP: fetched once for many, again when needed, and kept through an outage."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from structlog.testing import capture_logs

from shared_kernel.auth.claims import TokenRefused, UnknownKey
from shared_kernel.auth.jwks import (
    MAX_AGE,
    MIN_INTERVAL,
    RETRY_INTERVAL,
    STALE_LIMIT,
    RemoteKeys,
    RemoteVerifier,
)
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.errors import ServiceUnavailable
from tests.shared_kernel.auth.forging import Both
from tests.shared_kernel.auth.key_service import KeyService, key_service

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
FIRST = SigningKey.from_pem(SigningKey.generate_pem())
SECOND = SigningKey.from_pem(SigningKey.generate_pem())
WHO = Principal(UUID(int=1), "default", UUID(int=2), ("member",), "pwd", 1)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
async def service() -> AsyncIterator[KeyService]:
    async with key_service(orjson.dumps(TokenSigner(FIRST).jwks())) as service:
        yield service


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
async def keys(service: KeyService, clock: Hand) -> AsyncIterator[RemoteKeys]:
    remote = RemoteKeys(service.url + "/", clock=clock)
    yield remote
    await remote.aclose()


def token_of(key: SigningKey, jti: str = "1") -> str:
    return TokenSigner(key).sign(WHO, jti=jti, now=NOW)


async def test_token_is_verified_with_fetched_keys(keys: RemoteKeys, service: KeyService) -> None:
    verifier = RemoteVerifier(keys)
    assert (await verifier.verify(token_of(FIRST), NOW)).principal == WHO
    assert (await verifier.verify(token_of(FIRST, "2"), NOW)).jti == "2"
    assert (service.requests, service.methods) == (["/.well-known/jwks.json"], {"GET"})


async def test_many_who_ask_at_once_cause_one_request(keys: RemoteKeys, service: KeyService) -> None:
    assert all(await asyncio.gather(*(keys.refresh() for _ in range(50))))
    assert not await keys.refresh(), "just fetched: nothing new was learnt"
    assert len(service.requests) == 1


async def test_one_who_gives_up_does_not_take_the_others_answer_along(keys: RemoteKeys) -> None:
    impatient, patient = asyncio.create_task(keys.refresh()), asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient
    assert FIRST.kid in keys.keys


async def test_keys_are_fetched_again_after_five_minutes(keys: RemoteKeys, service: KeyService, clock: Hand) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MAX_AGE
    await verifier.verify(token_of(FIRST), NOW)
    assert len(service.requests) == 1
    clock.time += 1
    await verifier.verify(token_of(FIRST), NOW)
    assert len(service.requests) == 2


async def test_unknown_key_id_fetches_the_keys_at_most_every_30_seconds(
    keys: RemoteKeys, service: KeyService, clock: Hand
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
    keys: RemoteKeys, service: KeyService, clock: Hand
) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MIN_INTERVAL
    with pytest.raises(UnknownKey):
        await verifier.verify(token_of(SECOND), NOW)
    assert len(service.requests) == 2


async def test_bad_token_under_a_known_key_fetches_nothing(keys: RemoteKeys, service: KeyService, clock: Hand) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    clock.time += MIN_INTERVAL
    with pytest.raises(TokenRefused):
        await verifier.verify(token_of(FIRST)[:-4] + "AAAA", NOW)
    assert len(service.requests) == 1


async def test_last_keys_serve_through_an_outage_of_an_hour(keys: RemoteKeys, service: KeyService, clock: Hand) -> None:
    verifier = RemoteVerifier(keys)
    await verifier.verify(token_of(FIRST), NOW)
    service.status = 500
    clock.time += STALE_LIMIT
    assert (await verifier.verify(token_of(FIRST), NOW)).principal == WHO
    clock.time += RETRY_INTERVAL
    with pytest.raises(ServiceUnavailable):
        await verifier.verify(token_of(FIRST), NOW)


async def test_failure_is_retried_after_a_second_not_at_once(
    keys: RemoteKeys, service: KeyService, clock: Hand
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
    keys: RemoteKeys, service: KeyService, clock: Hand, body: bytes
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
    keys: RemoteKeys, service: KeyService, status: int
) -> None:
    service.status = status
    assert not await keys.refresh()
    assert len(service.requests) == 1
    with pytest.raises(ServiceUnavailable):
        _ = keys.keys


async def test_failure_is_logged_with_its_kind_and_how_many_keys_are_still_known(
    keys: RemoteKeys, service: KeyService, clock: Hand
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
