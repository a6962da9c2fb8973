"""The key-encryption key: the port behind which subject keys are wrapped, with generations so that it can rotate.

A data key is stored only wrapped. Once an old generation is destroyed, backups that hold keys wrapped under it are
unreadable, which bounds how long an erased person survives in them.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared_kernel.privacy.cipher import KEY_BYTES, SubjectKey, Unreadable, bind

_NONCE_BYTES = 12
_MIN_DISTINCT_BYTES = 8
_MAX_GENERATION = 2**31 - 1
_EXPECTED = "base64url of 32 random bytes, or lines `<generation>:<base64url>`"


class UnusableKek(ValueError):
    """The configured key-encryption key is not one; the message never contains it."""


@dataclass(frozen=True, slots=True)
class Kek:
    """Generations of 32-byte keys; new data keys are wrapped under the current one, old ones open under their own."""

    current_generation: int
    keys: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current_generation not in self.keys:
            raise UnusableKek(f"the key-encryption key has no generation {self.current_generation}")
        for generation, key in self.keys.items():
            if not 0 < generation <= _MAX_GENERATION:
                raise UnusableKek("a generation of the key-encryption key is a number from 1")
            if len(key) != KEY_BYTES or len(set(key)) < _MIN_DISTINCT_BYTES:
                raise UnusableKek(f"generation {generation} of the key-encryption key is not {_EXPECTED}")

    @classmethod
    def parse(cls, text: str) -> "Kek":
        """From a setting or file: one key alone is generation 1; of several lines the highest generation is current.

        Raises UnusableKek.
        """
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        try:
            keys = dict(_generation(line) for line in lines)
        except ValueError:
            raise UnusableKek(f"the key-encryption key is not {_EXPECTED}") from None
        if not keys or len(keys) != len(lines):
            raise UnusableKek("the key-encryption key is empty or names a generation twice")
        return cls(max(keys), keys)

    def wrap(self, key: SubjectKey, tenant: str, subject: str) -> bytes:
        """Nonce (12) || ciphertext || tag (16), bound to tenant, subject, key id and generation."""
        nonce = os.urandom(_NONCE_BYTES)
        aad = _aad(tenant, subject, key.key_id, self.current_generation)
        return nonce + AESGCM(self.keys[self.current_generation]).encrypt(nonce, key.secret, aad)

    def unwrap(self, wrapped: bytes, generation: int, key_id: UUID, tenant: str, subject: str) -> SubjectKey:
        """Raises Unreadable when the generation is gone or the row was not written by `wrap`."""
        key = self.keys.get(generation)
        if key is None:
            raise Unreadable(f"Generation {generation} of the key-encryption key is not configured here.")
        try:
            aad = _aad(tenant, subject, key_id, generation)
            return SubjectKey(key_id, AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], aad))
        except (InvalidTag, ValueError):
            raise Unreadable("A wrapped key was changed or belongs to somebody else.") from None


def _generation(line: str) -> tuple[int, bytes]:
    number, colon, encoded = line.rpartition(":")
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    return (int(number) if colon else 1), raw


def _aad(tenant: str, subject: str, key_id: UUID, generation: int) -> bytes:
    return bind("twinlog/kek/v1", tenant, subject, str(key_id), str(generation))
