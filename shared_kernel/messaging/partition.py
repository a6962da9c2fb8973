"""Which stream lands in which partition: decided by tenant and stream alone, for ever."""

import hashlib

SLOTS = 1024


def slot_of(tenant: str, stream: str) -> int:
    """The first four bytes of SHA-256(tenant || stream), big-endian, modulo 1024."""
    return int.from_bytes(hashlib.sha256(tenant.encode() + stream.encode()).digest()[:4], "big") % SLOTS


def partition_of(slot: int, partitions: int) -> int:
    """The logical partition of a slot; `partitions` is fixed when the log is installed."""
    return slot % partitions


def stream_key(partition: int) -> str:
    """The Redis stream of a partition; the braces are a Redis Cluster hash tag."""
    return f"events:{{{partition}}}"
