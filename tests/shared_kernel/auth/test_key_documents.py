"""How a document of keys is fetched, and what is wrong with one that is not taken."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import orjson
import pytest

from shared_kernel.auth.jwks import MAX_BYTES, PATH, TIMEOUT, RemoteKeys, _by_kid, document_of
from tests.shared_kernel.auth.forging import KEY, SIGNER
from tests.shared_kernel.auth.key_service import KeyService, key_service
from tests.support.certificates import Authority, tls_listener


@pytest.fixture
async def service() -> AsyncIterator[KeyService]:
    async with key_service(orjson.dumps(SIGNER.jwks())) as service:
        yield service


async def test_document_may_come_in_pieces_and_be_as_large_as_the_limit(service: KeyService) -> None:
    service.body = service.body.ljust(MAX_BYTES)
    service.pieces = 3
    keys = RemoteKeys(service.url)
    assert await keys.refresh()
    assert list(keys.keys) == [KEY.kid]
    await keys.aclose()


@pytest.mark.parametrize(
    ("status", "body", "why"), [(404, b"{}", "status 404"), (200, b"x" * (MAX_BYTES + 1), "the document is too large")]
)
async def test_document_is_refused_for_the_reason_that_is_wrong_with_it(
    service: KeyService, status: int, body: bytes, why: str
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
    service: KeyService, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    keys = RemoteKeys(service.url)
    assert await keys.refresh()
    await keys.aclose()


async def test_nobody_waits_longer_than_two_seconds_for_keys(service: KeyService) -> None:
    keys = RemoteKeys(service.url)
    assert keys._client.timeout == httpx2.Timeout(TIMEOUT)
    await keys.aclose()


@pytest.mark.parametrize("address", ["https://a.example/X", "https://a.example/X/", "https://a.example/X//"])
async def test_slash_at_the_end_of_an_address_makes_no_difference(address: str) -> None:
    keys = RemoteKeys(address)
    assert keys._url == "https://a.example/X" + PATH
    await keys.aclose()


async def test_keys_are_taken_from_nobody_whom_the_given_authority_does_not_know(tmp_path: Path) -> None:
    ours, other = (Authority.found(tmp_path, name) for name in ("ours", "other"))
    with tls_listener(ours.certificate(tmp_path, "command")) as listener:
        for trusted in (ours.file, other.file, None):
            keys = RemoteKeys(f"https://127.0.0.1:{listener.port}", authority=trusted)
            assert not await keys.refresh(), "the listener publishes none"
            await keys.aclose()
    assert listener.greeted == [True, False, False]
