"""Where to go on: what Redis holds is compared with the log before anything is added to it.

The relay resumes after the position that its row in the database names, which is at most a second old, and leaves out
what the streams already hold. After Redis was wiped that means: only new events are published. Readers see by
`previous` and by the mark that they miss some, and read those from the feed. For the same reason no more is caught up
than a stream may keep. The mark in Redis is no place to resume from: it may cover entries that Redis refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from command_service.relay.log import Installation, Log, Publication
from command_service.relay.publisher import Publisher, Top
from command_service.relay.refusals import HistoryDiffers, RedisAheadOfLog
from shared_kernel.messaging.mark import Mark

RESTORED = "the database was restored from an older backup; run `twinlog epoch new` once the restore is complete"


@dataclass(frozen=True, slots=True)
class Resumption:
    """Go on after `start.position`, leaving out what a partition's stream already holds (up to `held[p]`)."""

    start: Publication
    held: Mapping[int, int]


async def agree(log: Log, publisher: Publisher, catch_up_at_most: int) -> Resumption:
    """Raises PublicationRefused unless everything in Redis comes from this log in its present state."""
    installation = await log.installation()
    tops = await publisher.tops(installation.partitions)
    mark = await publisher.mark()
    head = await log.head()  # read after Redis, so that a log which is merely growing is never behind
    _require_not_ahead(installation, tops, mark, head)
    current = {partition: top for partition, top in tops.items() if top.epoch == installation.epoch}
    await _require_same_leaves(log, current)
    known = await log.publication()
    position = max(min(known.position if known else 0, head), head - catch_up_at_most)
    last = await log.last_positions(position, installation.partitions, known)
    start = Publication(installation.epoch, position, last)
    return Resumption(start, {partition: top.position for partition, top in current.items()})


def _require_not_ahead(installation: Installation, tops: Mapping[int, Top], mark: Mark | None, head: int) -> None:
    reached = [(top.epoch, top.position) for top in tops.values()] + ([(mark.epoch, mark.head)] if mark else [])
    epoch, position = max(reached, default=(0, 0))
    if (epoch, position) > (installation.epoch, head):
        raise RedisAheadOfLog(
            f"Redis holds position {position} of epoch {epoch}, but the log ends at position {head} "
            f"of epoch {installation.epoch}: {RESTORED}."
        )


async def _require_same_leaves(log: Log, tops: Mapping[int, Top]) -> None:
    stored = await log.leaves([top.position for top in tops.values()])
    for partition, top in tops.items():
        if stored.get(top.position) != top.leaf:
            raise HistoryDiffers(
                f"Position {top.position} (partition {partition}) is a different event in Redis than in the log: "
                f"{RESTORED}."
            )
