"""What stands in an access token, written once and read back strictly: one spelling, one meaning, nothing extra."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared_kernel.auth.jwk import decode_segment
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import Unauthenticated

TYPE = "at+jwt"
CLIENT = "twinlog"
MAX_TOKEN_CHARACTERS = 8_192
MAX_LIFETIME = 3_600
SKEW = 5
"""Seconds by which the issuer's clock may be ahead of ours; an expiry is never stretched."""


class TokenRefused(Unauthenticated):
    """Sign in first: the access token is missing, expired or not valid here."""

    def __init__(self, reason: str) -> None:
        """`reason` is for logs and tests; the caller hears the same sentence whatever was wrong."""
        super().__init__()
        self.reason = reason

    @classmethod
    def code(cls) -> str:
        return Unauthenticated.code()


class UnknownKey(TokenRefused):
    """Sign in first: the access token is missing, expired or not valid here."""


def _canonical_uuid(text: str) -> str:
    if str(UUID(text)) != text:
        raise ValueError("not the canonical spelling of a UUID")
    return text


Text = Annotated[str, Field(min_length=1, max_length=255)]
CanonicalUuid = Annotated[str, AfterValidator(_canonical_uuid)]
NumericDate = Annotated[int, Field(ge=0, le=253_402_300_799)]


class Claims(BaseModel):
    """The claims, all required but two; dates are whole seconds since 1970.

    Tokens of releases that did not know `roles_version` say nothing of it: their roles may be of any version.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    iss: Text
    aud: Text
    sub: CanonicalUuid
    jti: Text
    tenant: Text
    sid: CanonicalUuid
    roles: Annotated[tuple[Text, ...], Field(strict=False, max_length=64)]
    roles_version: Annotated[int, Field(ge=0, lt=2**63)] = 0
    acr: Text
    auth_time: NumericDate
    client_id: Text
    iat: NumericDate
    exp: NumericDate
    nbf: NumericDate = 0


class Header(BaseModel):
    """The JOSE header: these three members and no other, so that `crit`, `b64`, `jku`, `x5u` and `jwk` cannot enter."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    alg: Literal["ES256"]
    typ: Literal["at+jwt"]
    kid: Text


def encode(
    principal: Principal, *, issuer: str, audience: str, jti: str, now: datetime, lifetime: int
) -> dict[str, Any]:
    """The claims of a token that is valid from `now` for `lifetime` seconds."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "aud": audience,
        "sub": str(principal.user_id),
        "jti": jti,
        "tenant": principal.tenant,
        "sid": str(principal.session_id),
        "roles": list(principal.roles),
        "roles_version": principal.roles_version,
        "acr": principal.acr,
        "auth_time": principal.auth_time,
        "client_id": CLIENT,
        "iat": issued_at,
        "exp": issued_at + lifetime,
    }


def segments_of(token: str) -> tuple[bytes, bytes, bytes]:
    """Header, payload and signature. Raises TokenRefused unless there are just these, in their one spelling."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused("size")
    segments = token.split(".")
    if len(segments) != 3:
        raise TokenRefused("segments")
    try:
        header, payload, signature = (decode_segment(segment) for segment in segments)
    except ValueError:
        raise TokenRefused("encoding") from None
    return header, payload, signature


def kid_of(token: str) -> str:
    """The key id that an acceptable header names. Raises TokenRefused unless size, segments and header are as ours."""
    header, _, _ = segments_of(token)
    try:
        return Header.model_validate(strict_json(header)).kid
    except (ValidationError, ValueError, RecursionError):
        raise TokenRefused("header") from None


def decode(payload: bytes, *, issuer: str, audience: str, now: int) -> Claims:
    """The claims of a token whose signature holds. Raises TokenRefused with the name of the first rule broken."""
    try:
        found = Claims.model_validate(strict_json(payload))
    except (ValidationError, ValueError, RecursionError):
        raise TokenRefused("claims") from None
    for reason, holds in (
        ("iss", found.iss == issuer),
        ("aud", found.aud == audience),
        ("exp", now < found.exp),
        ("iat", found.iat <= now + SKEW),
        ("nbf", found.nbf <= now + SKEW),
        ("lifetime", 0 < found.exp - found.iat <= MAX_LIFETIME),
    ):
        if not holds:
            raise TokenRefused(reason)
    return found


def strict_json(data: bytes) -> dict[str, Any]:
    """One JSON object in UTF-8 without repeated names, NaN or Infinity. Raises ValueError for anything else."""
    value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers catch what malformed input raises
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
