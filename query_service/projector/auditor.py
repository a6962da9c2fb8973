"""The completeness auditor in the background: sums of everything twice a minute, rows of one partition in turn."""

import itertools
import time
from collections.abc import Sequence

from query_service.projector.auditing import Finding, worst
from query_service.projector.checkpoints import LOG
from query_service.projector.decoding import Decoder
from query_service.projector.shift import Tools
from query_service.projector.trouble import passing, said
from query_service.projector.verification import first_known, verify_copy, verify_rows, verify_sums
from shared_kernel.messaging.backoff import pause
from shared_kernel.observability import get_logger

EVERY = 30.0
AGAIN = 2.0
"""Seconds until what was found is looked at again: it may have been put right, or the log has been followed since."""

AGAIN_SHARE = 0.2
"""How much of the time goes into looking again."""

ROWS_SHARE = 0.02
"""How much of the time goes into folding partitions again: the larger they are, the rarer that happens."""

Place = tuple[str, int]
"""A projection, or the audit copy, and a partition."""


class Auditor:
    """Runs in the one process that also listens to operators; what it finds is a metric and keeps it from ready."""

    def __init__(self, tools: Tools, decoder: Decoder, partitions: int) -> None:
        self._tools = tools
        self._decoder = decoder
        self._projections = {projection.name: projection for projection in tools.projections}
        names = (LOG.projection, *self._projections)
        self._turns = itertools.cycle([(name, number) for number in range(partitions) for name in names])
        self._rows_at = 0.0
        self._wrong: dict[Place, Sequence[Finding]] = {}

    async def run(self) -> None:
        """Until the process stops, or its task is cancelled."""
        well = True
        while not self._tools.stop.is_set():
            started = time.monotonic()
            try:
                well = await self._look()
            except Exception as error:  # noqa: BLE001 - a side task: nobody would notice its end
                self._miss(error)
            again = max(AGAIN, (time.monotonic() - started) / AGAIN_SHARE)
            await pause(self._tools.stop, EVERY if well else min(EVERY, again))

    def _miss(self, error: Exception) -> None:
        """What is away is missed by others too; anything else would keep us from checking for ever."""
        get_logger().warning("completeness could not be checked", reason=said(error))
        if not passing(error):
            self._tools.status.report("completeness", f"Completeness cannot be checked: {said(error)}")

    async def _look(self) -> bool:
        """Whether all is well."""
        sums = await verify_sums(self._tools)
        for place in list(self._wrong):
            await self._examine(place)
        if time.monotonic() >= self._rows_at:
            started = time.monotonic()
            await self._examine(next(self._turns))
            self._rows_at = time.monotonic() + (time.monotonic() - started) / ROWS_SHARE
        findings = [*sums, *(finding for found in self._wrong.values() for finding in found)]
        self._tell(findings)
        return not findings

    async def _examine(self, place: Place) -> None:
        """What is wrong there, until it is looked at again and found right."""
        name, partition = place
        if name == LOG.projection:
            found = await verify_copy(self._tools, partition)
        else:
            found = await verify_rows(self._tools, self._decoder, self._projections[name], partition)
        if found:
            self._wrong[place] = found
        else:
            self._wrong.pop(place, None)

    def _tell(self, findings: Sequence[Finding]) -> None:
        self._tools.status.incomplete(worst(findings), [projection.name for projection in self._tools.projections])
        first = min(findings, key=first_known, default=None)
        more = f" ({len(findings)} in all; see `twinlog projections verify --all`)" if len(findings) > 1 else ""
        self._tools.status.report("completeness", "" if first is None else first.sentence() + more)
