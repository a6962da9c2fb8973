"""JSON Web Keys of the one kind in use: EC P-256 for ES256, named by their RFC 7638 thumbprint."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

ALGORITHM = "ES256"
CURVE = "P-256"

Jwk = Mapping[str, Any]


class UnusableKey(ValueError):
    """A published key is not an ES256 signing key under its own thumbprint."""


def encode_segment(data: bytes) -> str:
    """Base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_segment(segment: str) -> bytes:
    """The one strict reading: refuses with ValueError any text that is not how its own bytes would be written."""
    data = base64.b64decode(segment.encode("ascii") + b"=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    if encode_segment(data) != segment:
        raise ValueError("not canonical base64url")
    return data


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638: SHA-256 over the required members in lexical order, base64url."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return encode_segment(hashlib.sha256(orjson.dumps(required, option=orjson.OPT_SORT_KEYS)).digest())


def require_usable(kid: str, jwk: Jwk) -> None:
    """Raises UnusableKey unless this is a public P-256 key for verifying ES256, published under its thumbprint."""
    expected = {"kty": "EC", "crv": CURVE, "alg": ALGORITHM, "use": "sig", "kid": kid}
    for member, value in expected.items():
        if jwk.get(member) != value:
            raise UnusableKey(f"the key {kid!r} has a wrong {member}")
    if "d" in jwk:
        raise UnusableKey(f"the key {kid!r} is published with its private part")
    if "verify" not in jwk.get("key_ops", ["verify"]):
        raise UnusableKey(f"the key {kid!r} is not for verifying")
    if thumbprint(jwk) != kid:
        raise UnusableKey(f"the key {kid!r} is not named by its thumbprint")
