"""Codes that a person carries from one to another: 160 random bits, easy to read out, kept as a hash alone."""

import hashlib
import os
from base64 import b32encode

CODE_BYTES = 20
"""32 letters and digits, in eight groups of four."""


def new_code() -> str:
    """Letters and digits that are hard to confuse, in groups of four."""
    text = b32encode(os.urandom(CODE_BYTES)).decode()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def hash_of(code: str) -> str:
    """SHA-256, hexadecimal. Case, hyphens and white space make no difference; 160 random bits need no slow hash."""
    plain = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
