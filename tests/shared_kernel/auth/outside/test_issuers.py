"""Which issuers are trusted, where their keys are, and what happens when those change or cannot be had."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import orjson
import pytest

from shared_kernel.auth.claims import TokenRefused
from shared_kernel.auth.jwks import TIMEOUT
from shared_kernel.auth.outside.discovery import PATH, keys_address
from shared_kernel.auth.outside.issuer import OutsideIssuer, load_issuers, safe_address
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.errors import ServiceUnavailable, StartupRefused
from tests.support.identity_provider import AUDIENCE, EC, RSA, IdentityProvider, identity_provider, keycloak, signed


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as provider:
        yield provider


@pytest.fixture
async def issuers(provider: IdentityProvider) -> AsyncIterator[OutsideIssuers]:
    trusted = OutsideIssuer(issuer=provider.url, audience=AUDIENCE, tenant="acme", algorithms=("RS256", "ES256"))
    issuers = OutsideIssuers([trusted])
    yield issuers
    await issuers.close()


async def test_keys_are_found_by_the_issuer_s_own_word_and_kept(
    provider: IdentityProvider, issuers: OutsideIssuers
) -> None:
    for _ in range(3):
        token = signed(keycloak(provider.url))
        assert issuers.knows(token)
        assert (await issuers.verify(token, datetime.now(UTC))).tenant == "acme"
    assert provider.asked == {PATH: 1, "/keys": 1}


@pytest.mark.asvs("V1.3.6", "V13.2.4", "V13.2.5")
async def test_strangers_are_not_asked(provider: IdentityProvider, issuers: OutsideIssuers) -> None:
    for stranger in ("https://evil.example", f"{provider.url}/", 7):
        assert not issuers.knows(signed({"iss": stranger}))
    assert not OutsideIssuers([]).knows(signed(keycloak(provider.url)))
    assert provider.asked == {}


async def test_new_key_is_fetched_when_it_is_met(provider: IdentityProvider, issuers: OutsideIssuers) -> None:
    provider.publish(EC)
    with pytest.raises(TokenRefused):
        await issuers.verify(signed(keycloak(provider.url)), datetime.now(UTC))
    _, keys = issuers._by_name[provider.url]
    keys._not_before = float("-inf")
    provider.publish(EC, RSA)
    assert (await issuers.verify(signed(keycloak(provider.url)), datetime.now(UTC))).roles == ()


@pytest.mark.asvs("V10.5.3")
@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://keys.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"jwks_uri": "https://user@keys.example/"},
    ],
)
async def test_without_trustworthy_metadata_nobody_gets_in(
    provider: IdentityProvider, issuers: OutsideIssuers, metadata: dict[str, str]
) -> None:
    provider.publish(RSA, **metadata)
    with pytest.raises(ServiceUnavailable):
        await issuers.verify(signed(keycloak(provider.url)), datetime.now(UTC))
    assert "/keys" not in provider.asked


async def test_issuer_that_does_not_answer_is_said_to_be_away(
    provider: IdentityProvider, issuers: OutsideIssuers
) -> None:
    for document in ({}, {PATH: [1]}, {PATH: "x" * 70_000}):
        provider.documents = document
        _, keys = issuers._by_name[provider.url]
        keys._not_before = float("-inf")
        with pytest.raises(ServiceUnavailable):
            await issuers.verify(signed(keycloak(provider.url)), datetime.now(UTC))


def test_file_of_issuers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "issuers.json"
    path.write_bytes(orjson.dumps([{"issuer": "https://id.example", "audience": "api", "tenant": "acme"}]))
    (found,) = load_issuers(path)
    assert (found.issuer, found.algorithms, found.roles) == ("https://id.example", ("RS256",), {})
    assert load_issuers(None) == ()


@pytest.mark.asvs("V1.3.6")
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "not usable"),
        (b"{}", "not usable"),
        (b'[{"issuer": "http://id.example", "audience": "a", "tenant": "t"}]', "must begin with https"),
        (b'[{"issuer": "https://id.example?a=b", "audience": "a", "tenant": "t"}]', "without user, query"),
        (b'[{"issuer": "https://id.example", "audience": "a", "tenant": "T!"}]', "tenant"),
        (b'[{"issuer": "https://id.example", "audience": "a", "tenant": "t", "algorithms": ["HS256"]}]', "algorithms"),
        (b'[{"issuer": "https://id.example", "audience": "a", "tenant": "t", "roles": {"x": "root"}}]', "roles"),
        (b'[{"issuer": "https://id.example", "audience": "a", "tenant": "t", "secret": "x"}]', "secret"),
        (b"[" + b",".join([b'{"issuer": "https://a.example", "audience": "a", "tenant": "t"}'] * 2) + b"]", "twice"),
    ],
)
def test_unusable_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "issuers.json"
    path.write_bytes(content)
    with pytest.raises(StartupRefused, match=why) as refused:
        load_issuers(path)
    assert "\n" not in refused.value.detail


def test_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="cannot be read"):
        load_issuers(tmp_path / "none.json")


def test_loopback_needs_no_certificate() -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        for scheme in ("http", "https"):
            url = f"{scheme}://{host}:8080/realms/a"
            assert OutsideIssuer(issuer=url, audience="api", tenant="acme").issuer == url


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://id.example", "must begin with https://"),
        ("id.example", "must begin with https://"),
        ("https:///realms/a", "must be an address without user, query and fragment"),
        ("https://user@id.example", "must be an address without user, query and fragment"),
        ("https://id.example#a", "must be an address without user, query and fragment"),
    ],
)
def test_address_is_refused_for_the_reason_that_is_wrong_with_it(address: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        safe_address(address)


def test_sentence_about_an_unusable_file_says_where_in_it(tmp_path: Path) -> None:
    path = tmp_path / "issuers.json"
    for content, where in ((b"{", "it: Invalid JSON"), (b'[{"issuer": "https://a.example"}]', "0.audience: Field")):
        path.write_bytes(content)
        with pytest.raises(StartupRefused) as refused:
            load_issuers(path)
        assert refused.value.detail.startswith(f"The file of outside issuers {path} is not usable: {where}")


@pytest.mark.asvs("V15.3.2")
async def test_redirects_are_not_followed(provider: IdentityProvider, issuers: OutsideIssuers) -> None:
    assert isinstance(issuers._client, httpx2.AsyncClient)
    assert not issuers._client.follow_redirects


async def test_all_issuers_are_asked_by_one_client_that_waits_two_seconds(
    provider: IdentityProvider, issuers: OutsideIssuers
) -> None:
    assert issuers._client.timeout == httpx2.Timeout(TIMEOUT)
    assert all(keys._client is issuers._client for _, keys in issuers._by_name.values())


async def test_proxy_of_the_surroundings_is_not_asked(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}")
    issuers = OutsideIssuers([OutsideIssuer(issuer=provider.url, audience=AUDIENCE, tenant="acme")])
    assert (await issuers.verify(signed(keycloak(provider.url)), datetime.now(UTC))).tenant == "acme"
    await issuers.close()


@pytest.mark.parametrize("end", ["", "/"])
async def test_metadata_stand_below_the_issuer_s_own_path(provider: IdentityProvider, end: str) -> None:
    name = f"{provider.url}/realms/X{end}"
    provider.documents = {f"/realms/X{PATH}": {"issuer": name, "jwks_uri": "https://keys.example/all"}}
    issuer = OutsideIssuer(issuer=name, audience=AUDIENCE, tenant="acme")
    async with httpx2.AsyncClient() as client:
        assert await keys_address(issuer, client) == "https://keys.example/all"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "https://evil.example"}, "the metadata are another issuer's"),
        ({"jwks_uri": 7}, "the metadata name no keys"),
    ],
)
async def test_metadata_are_refused_for_the_reason_that_is_wrong_with_them(
    provider: IdentityProvider, metadata: dict[str, object], why: str
) -> None:
    provider.publish(RSA, **metadata)
    issuer = OutsideIssuer(issuer=provider.url, audience=AUDIENCE, tenant="acme")
    async with httpx2.AsyncClient() as client:
        with pytest.raises(ValueError, match=f"^{why}$"):
            await keys_address(issuer, client)
