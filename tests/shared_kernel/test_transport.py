"""Encryption of connections: nothing in clear where it is required, and nobody trusted by the wrong certificate."""

import functools
import socket
import ssl
import warnings
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from cryptography import x509
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from command_service.settings import Settings as CommandSettings
from query_service.infrastructure.feed import Feed, FeedUnavailable
from query_service.settings import Settings as QuerySettings
from shared_kernel.auth.jwks import RemoteKeys
from shared_kernel.auth.outside.issuer import OutsideIssuer
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.clock import SystemClock
from shared_kernel.errors import ServiceUnavailable, StartupRefused
from shared_kernel.messaging.client import redis_client
from shared_kernel.settings import SharedSettings
from shared_kernel.transport import Certificate, database_is_encrypted, redis_is_encrypted, trust_in
from tests.support.certificates import Authority, tls_listener
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, variables_of
from tests.support.identity_provider import keycloak, signed

ENCRYPTED = "postgresql://app:x@db.example/twinlog?sslmode=verify-full&sslrootcert=/run/ca.pem"
COMMAND = {"command_database_url": ENCRYPTED, "vault_database_url": ENCRYPTED, "redis_url": "rediss://:x@redis.example"}
QUERY = {**COMMAND, "query_database_url": ENCRYPTED, "command_url": "https://command.example"}
EVERYWHERE = str(ip_address(socket.INADDR_ANY))
OTHER_NAME = x509.DNSName("somebody-else.example")


def settings(cls: type[SharedSettings], given: dict[str, str], **further: Any) -> SharedSettings:
    return cls(env="development", require_tls=True, **{**given, **further})


@pytest.mark.asvs("V12.3.1", "V12.3.3")
@pytest.mark.parametrize(
    ("cls", "name", "url"),
    [
        (CommandSettings, "command_database_url", "postgresql://app:x@db.example/twinlog"),
        (CommandSettings, "command_database_url", "postgresql://app:x@db.example/twinlog?sslmode=require"),
        (CommandSettings, "vault_database_url", "postgresql://app:x@db.example/twinlog?sslmode=prefer"),
        (CommandSettings, "command_owner_url", "postgresql://app:x@db.example/twinlog"),
        (CommandSettings, "redis_url", "redis://:x@redis.example"),
        (CommandSettings, "redis_url", "rediss://:x@redis.example?ssl_cert_reqs=none"),
        (CommandSettings, "redis_url", "rediss://:x@redis.example?ssl_check_hostname=false"),
        (QuerySettings, "redis_url", "redis+cluster://redis.example"),
        (QuerySettings, "query_database_url", "postgresql://app:x@db.example/twinlog"),
        (QuerySettings, "command_url", "http://command.example"),
        (QuerySettings, "command_url", "http://127.0.0.1:8001"),
    ],
)
def test_no_process_starts_with_a_connection_in_clear(cls: type[SharedSettings], name: str, url: str) -> None:
    given = QUERY if cls is QuerySettings else COMMAND
    settings(cls, given)
    with pytest.raises(ValueError, match=f"TWINLOG_REQUIRE_TLS refuses TWINLOG_{name.upper()}") as refused:
        settings(cls, given, **{name: url})
    assert url not in str(refused.value)


@pytest.mark.asvs("V12.3.1")
def test_no_process_listens_in_clear_but_for_its_own_machine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="HOST without TWINLOG_TLS_CERTIFICATE_FILE"):
        settings(CommandSettings, COMMAND, host=EVERYWHERE)
    both = {"tls_certificate_file": tmp_path / "a.crt", "tls_key_file": tmp_path / "a.key"}
    settings(CommandSettings, COMMAND, host=EVERYWHERE, **both)
    with pytest.raises(ValueError, match="need each other"):
        settings(CommandSettings, COMMAND, tls_key_file=tmp_path / "a.key")


def test_sockets_of_this_machine_need_no_encryption() -> None:
    assert database_is_encrypted("postgresql:///twinlog?host=/run/postgresql")
    assert redis_is_encrypted("unix:///run/redis.sock")
    assert not database_is_encrypted("postgresql:///twinlog?host=/run/postgresql,db.example")
    assert not database_is_encrypted("postgresql:///twinlog?host=/run/postgresql&hostaddr=10.0.0.1")
    assert not database_is_encrypted("postgresql:///twinlog?host=/run/postgresql&service=elsewhere")
    assert not database_is_encrypted("postgresql://[")
    assert not database_is_encrypted("postgresql:///twinlog")


@pytest.mark.asvs("V12.1.1", "V12.1.2", "V12.2.1", "V12.3.3")
async def test_a_process_with_a_certificate_speaks_modern_https_and_nothing_else(
    tmp_path: Path, command_database: Database, vault_database: Vault
) -> None:
    authority = Authority.found(tmp_path, "ours")
    shown = authority.certificate(tmp_path, "command")
    files = {"TWINLOG_TLS_CERTIFICATE_FILE": str(shown.chain), "TWINLOG_TLS_KEY_FILE": str(shown.key)}
    with command_process(variables_of(command_database, vault_database, **files)) as running:
        encrypted = running.url.replace("http://", "https://")
        async with httpx2.AsyncClient(verify=trust_in(authority.file), trust_env=False) as http:
            answer = await http.get(f"{encrypted}/.well-known/jwks.json")
            assert (answer.status_code, "Strict-Transport-Security" in answer.headers) == (200, True)
            with pytest.raises(httpx2.HTTPError):
                await http.get(f"{running.url}/healthz")
        keys = RemoteKeys(encrypted, authority=authority.file)
        assert await keys.refresh()
        await keys.aclose()
        spoken = functools.partial(_version_spoken, int(running.url.rpartition(":")[2]), authority)
        assert spoken(ssl.TLSVersion.TLSv1_3, "DEFAULT") == "TLSv1.3"
        assert spoken(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384") == "TLSv1.2"
        assert spoken(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA256") is None
        assert spoken(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0") is None


def _version_spoken(port: int, authority: Authority, version: ssl.TLSVersion, ciphers: str) -> str | None:
    """With a client that can do nothing else; None when the server refuses."""
    context = trust_in(authority.file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of exactly what must be refused
        context.minimum_version, context.maximum_version = version, version
    context.set_ciphers(ciphers)
    with socket.create_connection(("127.0.0.1", port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                return encrypted.version()
        except ssl.SSLError:
            return None


@pytest.mark.asvs("V12.3.4")
def test_with_an_authority_of_its_own_the_query_service_trusts_no_other(tmp_path: Path) -> None:
    authority = Authority.found(tmp_path, "ours")
    (only,) = trust_in(authority.file).get_ca_certs()
    assert only["subject"] == ((("commonName", "ours"),),)
    assert trust_in(None).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.asvs("V12.3.2", "V12.3.4")
@pytest.mark.parametrize("fault", [None, "another authority", "another name"])
async def test_query_service_believes_only_the_right_certificate(tmp_path: Path, fault: str | None) -> None:
    authority, certificate = _with(fault, tmp_path)
    with tls_listener(certificate) as listener:
        url = f"https://127.0.0.1:{listener.port}"
        keys, feed = RemoteKeys(url, authority=authority.file), Feed(url, b"secret", authority=authority.file)
        assert not await keys.refresh()
        with pytest.raises(FeedUnavailable):
            await feed.facts()
        await keys.aclose()
        await feed.close()
    assert listener.greeted == [fault is None] * 2


@pytest.mark.asvs("V12.3.2")
@pytest.mark.parametrize("fault", [None, "another authority", "another name"])
def test_database_is_believed_only_with_the_right_certificate(tmp_path: Path, fault: str | None) -> None:
    authority, certificate = _with(fault, tmp_path)
    with tls_listener(certificate, postgres=True) as listener:
        url = f"postgresql://app:secret@127.0.0.1:{listener.port}/x?sslmode=verify-full&sslrootcert={authority.file}"
        assert database_is_encrypted(url)
        with pytest.raises(psycopg.OperationalError) as refused:
            psycopg.connect(url, connect_timeout=5)
    assert (listener.greeted[0], "certificate" in str(refused.value)) == (fault is None, fault is not None)


@pytest.mark.asvs("V12.3.2")
@pytest.mark.parametrize("fault", [None, "another authority", "another name"])
async def test_redis_is_believed_only_with_the_right_certificate(tmp_path: Path, fault: str | None) -> None:
    authority, certificate = _with(fault, tmp_path)
    with tls_listener(certificate) as listener:
        url = f"rediss://:secret@127.0.0.1:{listener.port}?ssl_ca_certs={authority.file}"
        assert redis_is_encrypted(url)
        client: Redis = redis_client(url)
        with pytest.raises((RedisConnectionError, ssl.SSLError)):
            await client.ping()
        await client.aclose()
    assert listener.greeted[0] is (fault is None)


@pytest.mark.asvs("V12.3.2")
async def test_outside_issuer_is_believed_only_with_a_publicly_trusted_certificate(tmp_path: Path) -> None:
    certificate = Authority.found(tmp_path, "nobody-knows").certificate(tmp_path, "issuer")
    with tls_listener(certificate) as listener:
        issuer = OutsideIssuer(issuer=f"https://127.0.0.1:{listener.port}", audience="api", tenant="acme")
        outside = OutsideIssuers([issuer])
        with pytest.raises(ServiceUnavailable):
            await outside.verify(signed(keycloak(issuer.issuer)), SystemClock().now())
        await outside.close()
    assert listener.greeted == [False]


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_unusable_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StartupRefused, match=r"^The authorities in .* cannot be used: .*\.$"):
        trust_in(path)
    with pytest.raises(StartupRefused, match=r"^The certificate .* and its key cannot be used: .*\.$"):
        Certificate(path, path).require_usable()


def _with(fault: str | None, folder: Path) -> tuple[Authority, Certificate]:
    """Whom the client trusts, and what the server shows."""
    trusted = Authority.found(folder, "ours")
    signing = Authority.found(folder, "theirs") if fault == "another authority" else trusted
    names = (OTHER_NAME,) if fault == "another name" else ()
    return trusted, signing.certificate(folder, "server", *names)
