"""How far the read models have come, as one immutable picture that all requests of a process share."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared_kernel.errors import LogEpochChanged
from shared_kernel.messaging.consistency import ConsistencyToken
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.partition import partition_of, slot_of

HOLDS = 10.0
"""Seconds for which questions are answered by one picture.

A generation that was live is emptied only when every picture that names it is older than that.
"""


@dataclass(frozen=True, slots=True)
class Live:
    """The generation of one projection that answers questions, and the last handled position of each partition."""

    name: str
    generation: str = "blue"
    version: int = 0
    positions: Mapping[int, int] = field(default_factory=dict)
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Checkpoints next to the relay's mark.

    The mark says how many partitions there are and where each ends, so what is known without one is nothing:
    horizon 0. A mark that is out of date is still true, it only knows less.
    """

    mark: Mark | None = None
    live: Mapping[str, Live] = field(default_factory=dict)
    checkpoint_epoch: int = 0
    restored: bool = False
    """Whether read models are being built anew because the log was restored."""
    read_at: float = float("-inf")
    """When the checkpoints were asked for, by the monotonic clock."""

    @property
    def holds(self) -> bool:
        """Whether the generations that it names are sure to have their rows still."""
        return time.monotonic() - self.read_at < HOLDS

    @property
    def epoch(self) -> int:
        """The newest epoch of the log that anything here speaks of."""
        return max(self.checkpoint_epoch, self.mark.epoch if self.mark else 0)

    def of(self, projection: str) -> Live:
        """A projection that has not been started yet is at position 0 of its first generation."""
        return self.live.get(projection, Live(projection))

    def generation(self, projection: str) -> str:
        """The schema that holds the live rows of this projection."""
        return self.of(projection).generation

    def watermark(self, projection: str, partition: int) -> int:
        """Every event of this partition up to here has been handled."""
        checkpoint = self.of(projection).positions.get(partition, 0)
        return self.mark.watermark(partition, checkpoint) if self.mark and self._of_one_log(self.mark) else checkpoint

    def _of_one_log(self, mark: Mark) -> bool:
        """A mark of another epoch says nothing about checkpoints of this one."""
        return self.checkpoint_epoch in {0, mark.epoch}

    def being_built_anew(self, projection: str, log: str) -> bool:
        """Whether this read model is still behind what was left of the copy when the log was restored."""
        standing, reached = self.of(projection).positions, self.of(log).positions
        return self.restored and any(standing.get(number, 0) < position for number, position in reached.items())

    def horizon(self, *reads: str) -> int:
        """Every event up to here has been handled by each of these projections: the lowest watermark."""
        if self.mark is None:
            return 0
        partitions = range(len(self.mark.last))
        watermarks = (self.watermark(projection, partition) for projection in reads for partition in partitions)
        return min(watermarks, default=0)

    def lag(self, *reads: str) -> int | None:
        """How many positions of the published log are beyond the horizon; None while no mark has been seen."""
        return None if self.mark is None else max(0, self.mark.head - self.horizon(*reads))

    def reached(self, token: ConsistencyToken, *reads: str) -> int:
        """Up to where the stream of the token has been handled by each of these projections."""
        if self.mark is None:
            return 0
        partition = partition_of(slot_of(token.tenant, token.stream), len(self.mark.last))
        return min((self.watermark(projection, partition) for projection in reads), default=0)

    def covers(self, token: ConsistencyToken, reads: tuple[str, ...], *, whole: bool) -> bool:
        """Whether what the token promises can be read: in lists (`whole`) or in the row of its stream alone.

        Raises LogEpochChanged when the token speaks of a log that was replaced since.
        """
        if token.epoch < self.epoch:
            raise LogEpochChanged
        reached = self.horizon(*reads) if whole else self.reached(token, *reads)
        followed = self.checkpoint_epoch in {0, self.epoch}
        return token.epoch == self.epoch and followed and reached >= token.position
