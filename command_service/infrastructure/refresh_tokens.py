"""Refresh tokens: 256 random bits beside the name of their session; the log knows their SHA-256 alone.

A successor is made from its predecessor under a key of this service: whoever repeats an exchange whose answer was lost
is given the same token again, and nothing that can be read anywhere would lead to it.
"""

import hashlib
import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from uuid import UUID

from shared_kernel.auth.secrets import derive
from shared_kernel.text import slug

MARK = "tlr_"
"""So that scanners recognise a token that somebody has left lying about."""
ID_BYTES = 16
SECRET_BYTES = 32
MAX_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token and what it says in clear: whose session it is said to be for. Only the log knows whether it counts."""

    tenant: str
    session_id: UUID
    secret: bytes = field(repr=False)

    def __str__(self) -> str:
        return MARK + urlsafe_b64encode(self._bytes()).rstrip(b"=").decode()

    @property
    def hash(self) -> str:
        """What the log keeps: hexadecimal SHA-256 of the whole token."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def _bytes(self) -> bytes:
        return self.session_id.bytes + self.secret + self.tenant.encode()


class RefreshTokens:
    """Makes refresh tokens under a key that is derived from the service's secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = derive(secret, "refresh-token")

    def first(self, tenant: str, session_id: UUID) -> RefreshToken:
        """The token that a new session begins with."""
        return RefreshToken(tenant, session_id, os.urandom(SECRET_BYTES))

    def successor(self, token: RefreshToken) -> RefreshToken:
        """The only token that this one can be exchanged for."""
        secret = hmac.digest(self._key, str(token).encode(), hashlib.sha256)
        return RefreshToken(token.tenant, token.session_id, secret)

    @staticmethod
    def parse(text: str) -> RefreshToken | None:
        """None for anything that is not the one spelling of a token."""
        try:
            raw = urlsafe_b64decode(text.removeprefix(MARK) + "=" * (-len(text.removeprefix(MARK)) % 4))
            session_id, secret = raw[:ID_BYTES], raw[ID_BYTES : ID_BYTES + SECRET_BYTES]
            token = RefreshToken(slug(raw[ID_BYTES + SECRET_BYTES :].decode()), UUID(bytes=session_id), secret)
        except ValueError:
            return None
        return token if len(text) <= MAX_CHARACTERS and str(token) == text else None
