"""A small identity provider over real HTTP: discovery, keys, and tokens as Keycloak and Auth0 write them."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from shared_kernel.auth.outside.discovery import PATH

AUDIENCE = "https://twinlog.example/api"
RSA = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "rsa-1"})
PSS = RSAKey.generate_key(2048, {"use": "sig", "alg": "PS256", "kid": "pss-1"})
EC = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "ec-1"})
ED = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "EdDSA", "kid": "ed-1"})
KEYS: Mapping[str, Key] = {"RS256": RSA, "PS256": PSS, "ES256": EC, "EdDSA": ED}


class IdentityProvider:
    """Answers whatever stands in `documents` by path; `asked` counts per path."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.asked: dict[str, int] = {}
        self.url = ""

    def publish(self, *keys: Key, **metadata: Any) -> None:
        self.documents[PATH] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **metadata}
        self.documents["/keys"] = {"keys": [key.as_dict(private=False) for key in keys]}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        self.asked[path] = self.asked.get(path, 0) + 1
        body = orjson.dumps(self.documents.get(path, {}))
        status = 200 if path in self.documents else 404
        head = f"HTTP/1.1 {status} Any\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def identity_provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    server = await asyncio.start_server(provider.answer, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    provider.publish(*KEYS.values())
    async with server:
        yield provider


def keycloak(issuer: str, at: datetime | None = None) -> dict[str, Any]:
    """The claims of an access token as a realm of Keycloak writes it."""
    now = int((at or datetime.now(UTC)).timestamp())
    return {
        "exp": now + 300,
        "iat": now,
        "auth_time": now - 20,
        "jti": "onrtac:6c1e1f9d-4a86-0d1c-1c7b-0a0c52d7f6f5",
        "iss": issuer,
        "aud": [AUDIENCE, "account"],
        "sub": "8e8f8f58-9a1e-4b0c-8d3a-3f4d2d2a7c11",
        "typ": "Bearer",
        "azp": "shop",
        "sid": "5b8a4f8e-6f0b-4e57-b9f4-0c4b8c2d9f10",
        "acr": "1",
        "realm_access": {"roles": ["offline_access", "twinlog-auditor", "admin"]},
        "scope": "openid profile email",
        "preferred_username": "ada",
    }


def auth0(issuer: str, at: datetime | None = None) -> dict[str, Any]:
    """The claims of an access token as Auth0 writes it: namespaced roles, no session, a day long."""
    now = int((at or datetime.now(UTC)).timestamp())
    return {
        "iss": issuer,
        "sub": "auth0|65f1c0ffee",
        "aud": [AUDIENCE, f"{issuer}/userinfo"],
        "iat": now,
        "exp": now + 86_400,
        "scope": "read:resources",
        "azp": "abc",
        "permissions": ["read:resources"],
        "twinlog_roles": ["editor"],
    }


def signed(claims: Mapping[str, Any] | bytes, algorithm: str = "RS256", **header: Any) -> str:
    """A token whose signature holds, whatever stands in it."""
    key = KEYS[algorithm]
    members = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}
    payload = claims if isinstance(claims, bytes) else orjson.dumps(claims)
    with warnings.catch_warnings():  # of the name EdDSA, which issuers still use
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact(members, payload, key, algorithms=[algorithm])
