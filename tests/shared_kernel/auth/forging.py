"""A key, an acceptable token, and tokens that are signed well whatever stands in them."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared_kernel.auth.claims import TokenRefused
from shared_kernel.auth.jwk import Jwk
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner, TokenVerifier
from shared_kernel.errors import Unauthenticated

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY, OTHER = (SigningKey(ec.derive_private_key(2**200 + number, ec.SECP256R1())) for number in (1, 2))
SIGNER = TokenSigner(KEY)


class Both:
    """Two published keys; the first one signs."""

    def __init__(self, current: SigningKey, other: SigningKey) -> None:
        self.current = current
        self.published = (current, other)


PRINCIPAL = Principal(
    user_id=UUID("018f3c5e-7a10-7d3e-8a55-1f2e3d4c5b6a"),
    tenant="default",
    session_id=UUID("018f3c5e-7a10-7d3e-8a55-1f2e3d4c5b6b"),
    roles=("member", "auditor"),
    acr="urn:twinlog:pwd",
    auth_time=AT - 30,
    roles_version=3,
)
TOKEN = SIGNER.sign(PRINCIPAL, jti="token-1", now=NOW)


def segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of an acceptable token, to be spoiled."""
    header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in TOKEN.split("."))
    return json.loads(header), json.loads(claims)


def signed(header: bytes | Mapping[str, Any], claims: bytes | Mapping[str, Any], key: SigningKey = KEY) -> str:
    """A token whose signature holds, whatever stands in it."""
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    text = ".".join(segment(part) for part in raw)
    return f"{text}.{segment(key.signer.sign(text.encode()))}"


def verifier(keys: Mapping[str, Jwk] | None = None) -> TokenVerifier:
    known = SIGNER.keys() if keys is None else keys
    return TokenVerifier(lambda: known)


def refusal(token: str, keys: Mapping[str, Jwk] | None = None, now: datetime = NOW) -> str:
    with pytest.raises(TokenRefused) as refused:
        verifier(keys).verify(token, now)
    assert refused.value.code() == "unauthenticated"
    assert refused.value.status == 401
    assert str(refused.value) == str(Unauthenticated()), "callers must not learn which rule refused"
    return refused.value.reason
