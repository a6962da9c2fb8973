"""Access tokens: making and checking RFC 9068 tokens (`at+jwt`, ES256), with no more trust in them than is earned.

The signature is python-jose's affair; everything around it is checked here first and strictly, because the library
ignores `crit`, passes a token without `aud` when one is asked for, and accepts several spellings of one signature.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk as jose_jwk
from jose import jws
from jose.exceptions import JOSEError

from shared_kernel.auth import claims
from shared_kernel.auth.claims import TYPE, TokenRefused, UnknownKey
from shared_kernel.auth.jwk import ALGORITHM, Jwk, UnusableKey, require_usable, thumbprint
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import StartupRefused

ISSUER = "twinlog"
AUDIENCE = "twinlog-api"
LIFETIME = 600
CACHE_SIZE = 8_192

Keys = Callable[[], Mapping[str, Jwk]]


class SigningKeys(Protocol):
    """An issuer's keys as they are at this moment: the one that signs, and all that its tokens may bear."""

    @property
    def current(self) -> "SigningKey": ...

    @property
    def published(self) -> Sequence["SigningKey"]: ...


class SigningKey:
    """An ES256 private key, loaded once, with its public half as it is published; alone it is all of an issuer's."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.signer = jose_jwk.construct(private, ALGORITHM)
        public = jose_jwk.construct(private.public_key(), ALGORITHM).to_dict()
        self.kid = thumbprint(public)
        self.public: Jwk = {**public, "use": "sig", "kid": self.kid}

    @property
    def current(self) -> "SigningKey":
        return self

    @property
    def published(self) -> Sequence["SigningKey"]:
        return (self,)

    @classmethod
    def from_pem(cls, pem: bytes) -> "SigningKey":
        """Raises StartupRefused for anything but an unencrypted P-256 private key."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise StartupRefused("The token key is not an unencrypted PEM private key.") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise StartupRefused("The token key is not an elliptic-curve key on P-256, which ES256 needs.")
        return cls(key)

    @staticmethod
    def generate_pem() -> bytes:
        """A new P-256 private key as unencrypted PKCS#8 PEM."""
        return ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class TokenSigner:
    """Signs access tokens with the key whose turn it is."""

    def __init__(
        self, keys: SigningKeys, issuer: str = ISSUER, audience: str = AUDIENCE, lifetime: int = LIFETIME
    ) -> None:
        self._keys = keys
        self.issuer = issuer
        self.audience = audience
        self.lifetime = lifetime

    def sign(self, principal: Principal, *, jti: str, now: datetime, lifetime: int | None = None) -> str:
        """A token for this caller that is valid from `now` for `lifetime` seconds, the signer's own unless told."""
        seconds = self.lifetime if lifetime is None else lifetime
        content = claims.encode(
            principal, issuer=self.issuer, audience=self.audience, jti=jti, now=now, lifetime=seconds
        )
        key = self._keys.current
        return str(jws.sign(content, key.signer, headers={"typ": TYPE, "kid": key.kid}, algorithm=ALGORITHM))

    def jwks(self) -> dict[str, Any]:
        """The document for `/.well-known/jwks.json`; serve it with `Cache-Control: max-age=300`."""
        return {"keys": [dict(key.public) for key in self._keys.published]}

    def keys(self) -> Mapping[str, Jwk]:
        """The published keys by kid, for a verifier in the same process."""
        return {key.kid: key.public for key in self._keys.published}


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token proved: who is asking, its own id, and its life in seconds since 1970."""

    principal: Principal
    jti: str
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A published key next to its parsed form."""

    jwk: Jwk
    key: Any


class TokenVerifier:
    """Checks access tokens against the keys that `keys()` shows at that moment.

    Verified tokens are remembered by their digest until they expire (at most 8,192), and forgotten when their key
    is no longer published. Denial is not decided here: ask about session and `jti` on every request.
    """

    def __init__(self, keys: Keys, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self._loaded: dict[str, _Loaded] = {}
        self._verified: OrderedDict[bytes, tuple[_Loaded, str, VerifiedToken]] = OrderedDict()

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Raises UnknownKey (fetch the keys again, then repeat once) or TokenRefused, both Unauthenticated."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seconds = int(now.timestamp())
        if (remembered := self._recall(digest, seconds)) is not None:
            return remembered
        kid = claims.kid_of(token)
        loaded = self._load(kid)
        content = claims.decode(self._payload(token, loaded), issuer=self.issuer, audience=self.audience, now=seconds)
        verified = VerifiedToken(_principal(content), content.jti, content.iat, content.exp)
        self._verified[digest] = (loaded, kid, verified)
        if len(self._verified) > CACHE_SIZE:
            self._verified.popitem(last=False)
        return verified

    def _recall(self, digest: bytes, now: int) -> VerifiedToken | None:
        entry = self._verified.get(digest)
        if entry is None:
            return None
        loaded, kid, verified = entry
        if verified.expires_at > now >= verified.issued_at - claims.SKEW and self.keys().get(kid) == loaded.jwk:
            self._verified.move_to_end(digest)
            return verified
        del self._verified[digest]
        return None

    def _load(self, kid: str) -> _Loaded:
        jwk = self.keys().get(kid)
        if jwk is None:
            raise UnknownKey("kid")
        loaded = self._loaded.get(kid)
        if loaded is None or loaded.jwk != jwk:
            loaded = self._loaded[kid] = _Loaded(jwk, _parse(kid, jwk))
        return loaded

    @staticmethod
    def _payload(token: str, loaded: _Loaded) -> bytes:
        try:
            return bytes(jws.verify(token, loaded.key, algorithms=[ALGORITHM]))
        except JOSEError:
            raise TokenRefused("signature") from None


def _parse(kid: str, jwk: Jwk) -> Any:
    try:
        require_usable(kid, jwk)
        return jose_jwk.construct(dict(jwk), ALGORITHM)
    except (UnusableKey, JOSEError, ValueError, KeyError, TypeError):
        raise TokenRefused("key") from None


def _principal(content: claims.Claims) -> Principal:
    return Principal(
        user_id=UUID(content.sub),
        tenant=content.tenant,
        session_id=UUID(content.sid),
        roles=content.roles,
        acr=content.acr,
        auth_time=content.auth_time,
        roles_version=content.roles_version,
    )
