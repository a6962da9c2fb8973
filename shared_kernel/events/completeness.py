"""Sums that prove completeness: order-free, so that whoever has handled the same events has the same sum."""

import hashlib
import struct

MODULUS = 2**256
EVERY = 1_000
"""The log's own sums are kept at every position that is a multiple of this."""


def term(position: int, leaf_hash: bytes) -> int:
    """One event's share: SHA-256(position || leaf), position as 8 bytes big-endian; sums are taken modulo 2^256."""
    return int.from_bytes(hashlib.sha256(struct.pack(">q", position) + leaf_hash).digest(), "big")
