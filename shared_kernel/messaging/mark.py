"""The relay's mark: how far the log reaches and where each partition ends, computed from the log itself."""

from dataclasses import dataclass

import orjson

MARK_KEY = "events:mark"


@dataclass(frozen=True, slots=True)
class Mark:
    """`head` is the newest published position; `last[p]` the newest position of partition p at or below it (0: none).

    `at` is the time of writing in microseconds since 1970 UTC.
    """

    epoch: int
    head: int
    last: tuple[int, ...]
    at: int

    def encode(self) -> bytes:
        return orjson.dumps({"epoch": self.epoch, "head": self.head, "last": self.last, "at": self.at})

    @classmethod
    def decode(cls, data: bytes) -> "Mark":
        """Raises KeyError, TypeError or ValueError for anything that `encode` could not have made."""
        raw = orjson.loads(data)
        return cls(int(raw["epoch"]), int(raw["head"]), tuple(int(n) for n in raw["last"]), int(raw["at"]))

    def watermark(self, partition: int, checkpoint: int) -> int:
        """How far this partition is known complete: the head once its last event is handled, else the checkpoint."""
        return max(checkpoint, self.head) if checkpoint >= self.last[partition] else checkpoint
