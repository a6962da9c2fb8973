"""Keys for one purpose each, derived from a configured secret, and the refusal of secrets that are none."""

import hashlib
import hmac
from itertools import pairwise

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_SECRET_BYTES = 32
DERIVED_BYTES = 32
MIN_DISTINCT_BYTES = 8
PLACEHOLDERS = (b"changeme", b"change-me", b"change_me", b"password", b"secret", b"example", b"placeholder", b"default")


class WeakSecret(ValueError):
    """A secret is too short, too regular or a placeholder; the message names the setting, never the value."""


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, `info` = "twinlog/" || purpose): different purposes, unrelated keys."""
    info = b"twinlog/" + purpose.encode()
    return HKDF(algorithm=hashes.SHA256(), length=DERIVED_BYTES, salt=None, info=info).derive(secret)


def require_strong(name: str, value: str | bytes) -> None:
    """Raises WeakSecret unless `value` has at least 32 bytes and does not look made up.

    No measure of randomness: it catches short, repeated and placeholder values, as people leave them in settings.
    """
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) < MIN_SECRET_BYTES:
        raise WeakSecret(f"{name} has {len(raw)} bytes; it needs at least {MIN_SECRET_BYTES} random ones.")
    if len(set(raw)) < MIN_DISTINCT_BYTES or _repeats(raw) or _counts(raw):
        raise WeakSecret(f"{name} repeats a pattern; it needs at least {MIN_SECRET_BYTES} random bytes.")
    if any(word in raw.lower() for word in PLACEHOLDERS):
        raise WeakSecret(f"{name} looks like a placeholder; it needs at least {MIN_SECRET_BYTES} random bytes.")


def _repeats(raw: bytes) -> bool:
    """Whether the value is a shorter one written more than once (the last time perhaps not whole)."""
    return any(raw[period:] == raw[:-period] for period in range(1, len(raw) // 2 + 1))


def _counts(raw: bytes) -> bool:
    """Whether nearly every byte is its neighbour plus or minus one, as in `abcdef...` or `0123456789...`."""
    steps = sum(abs(following - byte) == 1 for byte, following in pairwise(raw))
    return steps > len(raw) // 2


class Mac:
    """HMAC-SHA-256 under one key, which is set up once: that costs more than to authenticate a short text."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def of(self, message: bytes) -> bytes:
        """32 bytes."""
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.digest()
