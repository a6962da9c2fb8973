"""Access tokens that must not be believed, each wrong in one way, made from a genuine one and its key."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jose import jws

from shared_kernel.auth.claims import TYPE
from shared_kernel.auth.tokens import SigningKey
from tests.support.stack import Stack

Changes = Mapping[str, Any]


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Forger:
    """Has a genuine token and (for what only a careless issuer could sign) the key that signed it."""

    genuine: str
    key: SigningKey

    @classmethod
    def of(cls, stack: Stack, genuine: str) -> "Forger":
        return cls(genuine, SigningKey.from_pem(next((stack.data / "secrets").rglob("token_key.pem")).read_bytes()))

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(jws.get_unverified_claims(self.genuine))
        return claims

    def signed(
        self, claims: Changes | None = None, header: Changes | None = None, key: SigningKey | None = None
    ) -> str:
        """The genuine token with other claims or header, signed by our key or another under our key's name."""
        named = {"typ": TYPE, "kid": self.key.kid, **(header or {})}
        content = {**self.claims, **(claims or {})}
        return str(jws.sign(content, (key or self.key).signer, headers=named, algorithm="ES256"))

    def at(self, moved: timedelta) -> str:
        """A token that was issued at another time, for the usual ten minutes."""
        issued = int((datetime.now(UTC) + moved).timestamp())
        return self.signed({"iat": issued, "exp": issued + 600, "auth_time": issued})

    def with_secret(self) -> str:
        """HS256, with what everybody can read as the secret."""
        signed = f"{segment({'alg': 'HS256', 'typ': TYPE, 'kid': self.key.kid})}.{segment(self.claims)}"
        mac = hmac.digest(json.dumps(self.key.public).encode(), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def authorization(self, kind: str) -> str:
        """The Authorization header of a kind; empty for none."""
        if kind == "none":
            return ""
        scheme = "Basic" if kind == "as Basic" else "Bearer"
        return f"{scheme} {FORGERIES[kind](self)}"


def _stranger() -> SigningKey:
    return SigningKey.from_pem(SigningKey.generate_pem())


def _without_algorithm(forger: Forger) -> str:
    return f"{segment({'alg': 'none', 'typ': TYPE, 'kid': forger.key.kid})}.{segment(forger.claims)}."


def _with_own_key(forger: Forger) -> str:
    own = _stranger()
    return forger.signed(header={"jwk": dict(own.public)}, key=own)


def _with_another_signature(forger: Forger) -> str:
    changed = forger.signed({"tenant": "acme"}).rpartition(".")[0]
    return f"{changed}.{forger.genuine.rpartition('.')[2]}"


FORGERIES: Mapping[str, Callable[[Forger], str]] = {
    "genuine": lambda forger: forger.genuine,
    "as Basic": lambda forger: forger.genuine,
    "empty": lambda _: "",
    "expired": lambda forger: forger.at(-timedelta(minutes=11)),
    "not yet valid": lambda forger: forger.at(timedelta(minutes=5)),
    "of a foreign key": lambda forger: forger.signed(key=_stranger()),
    "truncated": lambda forger: forger.genuine[:-20],
    "without signature": lambda forger: forger.genuine.rpartition(".")[0],
    "with another signature": _with_another_signature,
    "for another audience": lambda forger: forger.signed({"aud": "somebody-else"}),
    "of another issuer": lambda forger: forger.signed({"iss": "somebody-else"}),
    "of another type": lambda forger: forger.signed(header={"typ": "JWT"}),
    "with alg none": _without_algorithm,
    "with HS256": Forger.with_secret,
    "of 9,000 characters": lambda forger: forger.signed({"padding": "x" * 9_000}),
    "not a token": lambda _: "winter-otter-plays-chess",
    "with a key of its own": _with_own_key,
}
