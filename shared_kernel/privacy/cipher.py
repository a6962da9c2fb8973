"""Authenticated encryption under a subject's key (AES-256-GCM).

Binary form, lengths in bytes: version (1; 1) || algorithm (1; 1 = AES-256-GCM) || key id (16) || nonce (12) ||
ciphertext || tag (16).
Text form: `enc:v1:` followed by the binary form in base64url without padding.
The first 18 bytes are authenticated together with the caller's AAD, so nothing about a ciphertext can be exchanged.
"""

import base64
import os
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared_kernel.errors import TwinlogError

VERSION = 1
AES_256_GCM = 1
KEY_BYTES = 32
PREFIX = "enc:v1:"

_HEAD_BYTES = 18
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Unreadable(TwinlogError):
    """This ciphertext was not made with this key, for this place, or was changed."""


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The data key of one person: 32 secret bytes and the id that every ciphertext under it carries."""

    key_id: UUID
    secret: bytes = field(repr=False)
    aead: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "aead", AESGCM(self.secret))  # made once: it costs as much as sealing a field


def bind(*parts: str) -> bytes:
    """AAD from several values: each as length (4 bytes, big-endian) and UTF-8, so that no two lists look alike."""
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


def seal_bytes(key: SubjectKey, plaintext: bytes, aad: bytes) -> bytes:
    """The binary form; the nonce is random, so sealing twice gives two ciphertexts."""
    head = bytes((VERSION, AES_256_GCM)) + key.key_id.bytes
    nonce = os.urandom(_NONCE_BYTES)
    return head + nonce + key.aead.encrypt(nonce, plaintext, head + aad)


def open_bytes(key: SubjectKey, sealed: bytes, aad: bytes) -> bytes:
    """Raises Unreadable unless `seal_bytes` made this with the same key and AAD."""
    head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES]
    if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES:
        raise Unreadable("This ciphertext is cut short.")
    if head[:2] != bytes((VERSION, AES_256_GCM)):
        raise Unreadable("This ciphertext has a format that this release does not know.")
    if head[2:] != key.key_id.bytes:
        raise Unreadable("This ciphertext was made with another key.")
    try:
        return key.aead.decrypt(nonce, sealed[_HEAD_BYTES + _NONCE_BYTES :], head + aad)
    except InvalidTag:
        raise Unreadable from None


def seal(key: SubjectKey, plaintext: str, aad: bytes) -> str:
    """The text form of `seal_bytes`."""
    return PREFIX + base64.urlsafe_b64encode(seal_bytes(key, plaintext.encode(), aad)).rstrip(b"=").decode()


def open_sealed(key: SubjectKey, text: str, aad: bytes) -> str:
    """Raises Unreadable unless `seal` made this with the same key and AAD."""
    body = text.removeprefix(PREFIX)
    if body == text:
        raise Unreadable("This is not a ciphertext.")
    try:
        sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Unreadable("This ciphertext is not base64url.") from None
    return open_bytes(key, sealed, aad).decode()
