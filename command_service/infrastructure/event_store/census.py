"""Whether this release can read what is in the log: every topic, by samples or event by event."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from command_service.infrastructure.event_store.inspection import Inspection, TopicCount, Wanted
from shared_kernel.errors import TwinlogError
from shared_kernel.events.envelope import StoredRow
from shared_kernel.privacy.payload import PayloadCodec


@dataclass(slots=True)
class TopicReport:
    """A topic in the log: how many events, from where to where, how many of them were read, and what came of it.

    `reads_as` is the topic of the newest version that they were led to. Nobody's key is needed: personal fields read
    as those of erased people do.
    """

    topic: str
    count: int
    first: int
    last: int
    checked: int = 0
    unreadable: int = 0
    reads_as: str | None = None
    problem: str = ""

    @property
    def decodes(self) -> bool:
        return self.unreadable == 0

    def as_dict(self) -> dict[str, Any]:
        """With the version, which is the end of the topic, as a number."""
        _, _, version = self.topic.rpartition(".v")
        number = int(version) if version.isdecimal() else None
        return {**asdict(self), "version": number, "decodes": self.decodes, "problem": self.problem or None}

    def check(self, row: StoredRow, codec: PayloadCodec) -> None:
        self.checked += 1
        try:
            self.reads_as = codec.decode(row, None).event.TOPIC
        except TwinlogError as fault:
            self.unreadable += 1
            self.problem = self.problem or fault.detail


async def census(log: Inspection, codec: PayloadCodec, *, every: bool) -> Sequence[TopicReport]:
    """A report for each topic of the log, in order of name; with `every` each event is read, up to the present end."""
    counted = await log.topics()
    reports = {each.topic: TopicReport(each.topic, each.count, each.first, each.last) for each in counted}
    async for row in _all(log, counted) if every else _samples(log, counted):
        reports[row.topic].check(row, codec)
    return list(reports.values())


def _all(log: Inspection, counted: Sequence[TopicCount]) -> AsyncIterator[StoredRow]:
    return log.matching(Wanted(upto=max((each.last for each in counted), default=0)))


async def _samples(log: Inspection, counted: Sequence[TopicCount]) -> AsyncIterator[StoredRow]:
    """The first and the last event of each topic."""
    for position in sorted({at for each in counted for at in (each.first, each.last)}):
        async for row in log.matching(Wanted(after=position - 1, upto=position)):
            yield row
