"""Checking another issuer's access tokens: as strict as with our own, whatever its library lets pass.

The signature is joserfc's affair, which knows RSA-PSS and EdDSA besides. A user is (issuer, sub), here as a version 5
UUID.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid5

from joserfc import jwk as jose_jwk
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import RSAKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared_kernel.auth.claims import SKEW, NumericDate, Text, TokenRefused, UnknownKey, segments_of, strict_json
from shared_kernel.auth.jwk import Jwk
from shared_kernel.auth.outside.issuer import OutsideIssuer
from shared_kernel.auth.principal import Principal

LONGEST_LIFE = 86_400
"""Seconds: an ended session there is not heard of here, so a token should be short-lived; a day is the most."""

UNKNOWN = 0
"""When somebody signed in whose issuer does not say so, or not as strongly as was asked: long ago."""

KEYS: Mapping[str, Mapping[str, str]] = {
    "RS256": {"kty": "RSA"},
    "PS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}
"""What a JWK must be to verify with an algorithm."""

MEMBERS = ("kty", "crv", "x", "y", "n", "e")
"""The public members of a JWK; whatever else an issuer publishes is not looked at."""

PRIVATE = frozenset({"d", "k"})
"""A JWK with one of these gives a secret away."""

NAMESPACE = UUID("6f0f2b0a-5d0c-5b6e-9d53-2f8d9a5c1e77")
"""Of the UUIDs that stand for outside users and sessions; never changes."""

ACR = "urn:twinlog:outside"


class Header(BaseModel):
    """The JOSE header: no `crit`, `b64`, `jku`, `x5u`, `x5c` or `jwk`; a thumbprint may stand there, unused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    alg: Text
    typ: Text
    kid: Text
    x5t: Text | None = None


class Claims(BaseModel):
    """What every token must say, and what may be there; dates are whole seconds since 1970."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    iss: Text
    aud: Text | Annotated[list[Text], Field(min_length=1, max_length=32)]
    sub: Text
    iat: NumericDate
    exp: NumericDate
    nbf: NumericDate = 0
    auth_time: NumericDate | None = None
    sid: Text | None = None
    acr: Any = None
    amr: Any = None

    @property
    def audiences(self) -> list[str]:
        return [self.aud] if isinstance(self.aud, str) else self.aud


@dataclass(frozen=True, slots=True)
class OutsideVerifier:
    """Checks the tokens of one issuer."""

    issuer: OutsideIssuer

    def verify(self, token: str, keys: Mapping[str, Jwk], now: datetime) -> Principal:
        """Raises UnknownKey (fetch the keys again, then repeat once) or TokenRefused, both Unauthenticated."""
        header = self._header(token)
        jwk = keys.get(header.kid)
        if jwk is None:
            raise UnknownKey("kid")
        payload = _payload(token, _usable(jwk, header.alg, self.issuer.smallest_rsa_key), header.alg)
        try:
            content = strict_json(payload)
            claims = Claims.model_validate(content)
        except (ValidationError, ValueError, RecursionError):
            raise TokenRefused("claims") from None
        self._refuse(claims, int(now.timestamp()))
        return self._principal(claims, content)

    def _header(self, token: str) -> Header:
        try:
            header = Header.model_validate(strict_json(segments_of(token)[0]))
        except (ValidationError, ValueError, RecursionError):
            raise TokenRefused("header") from None
        if header.alg not in self.issuer.algorithms or header.typ not in self.issuer.types:
            raise TokenRefused("header")
        return header

    def _refuse(self, found: Claims, now: int) -> None:
        for reason, holds in (
            ("iss", found.iss == self.issuer.issuer),
            ("aud", self.issuer.audience in found.audiences),
            ("exp", now < found.exp),
            ("iat", found.iat <= now + SKEW),
            ("nbf", found.nbf <= now + SKEW),
            ("lifetime", 0 < found.exp - found.iat <= LONGEST_LIFE),
        ):
            if not holds:
                raise TokenRefused(reason)

    def _principal(self, found: Claims, content: Mapping[str, Any]) -> Principal:
        user = uuid5(NAMESPACE, f"{found.iss}\n{found.sub}")
        proven_at = found.auth_time if self.issuer.is_strong(found.acr, found.amr) else None
        return Principal(
            user_id=user,
            tenant=self.issuer.tenant,
            session_id=uuid5(user, found.sid or str(found.iat)),
            roles=self.issuer.roles_in(content),
            acr=ACR,
            auth_time=UNKNOWN if proven_at is None else proven_at,
        )


def issuer_named_in(token: str) -> str | None:
    """What an unverified token says its issuer is: a hint for whom to ask, and nothing more."""
    try:
        named = strict_json(segments_of(token)[1]).get("iss")
    except (ValueError, RecursionError, TokenRefused):
        return None
    return named if isinstance(named, str) else None


def _usable(jwk: Jwk, algorithm: str, smallest_rsa_key: int) -> Any:
    """The public key, if it is one for verifying with this very algorithm. Raises TokenRefused."""
    if not _is_meant_for(jwk, algorithm) or not PRIVATE.isdisjoint(jwk):
        raise TokenRefused("key")
    key = _imported({name: jwk[name] for name in MEMBERS if name in jwk})
    if isinstance(key, RSAKey) and key.public_key.key_size < smallest_rsa_key:
        raise TokenRefused("key")
    return key


def _is_meant_for(jwk: Jwk, algorithm: str) -> bool:
    """Kind and curve must be the algorithm's; use, algorithm and operations as well, where the key says any."""
    may_say = {"use": "sig", "alg": algorithm}
    said = {name: jwk.get(name, may_say.get(name)) for name in (*may_say, *KEYS[algorithm])}
    return said == {**may_say, **KEYS[algorithm]} and "verify" in jwk.get("key_ops", ["verify"])


def _imported(jwk: dict[str, Any]) -> Any:
    try:
        with _quietly():
            return jose_jwk.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenRefused("key") from None


def _payload(token: str, key: Any, algorithm: str) -> bytes:
    try:
        with _quietly():
            return bytes(jws.deserialize_compact(token, key, algorithms=[algorithm]).payload)
    except (JoseError, ValueError, TypeError):
        raise TokenRefused("signature") from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Joserfc warns of short keys, which are refused here, and of the name EdDSA, which issuers still use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield
