"""The completeness auditor in the background: sums of everything twice a minute, rows of one partition in turn."""

import time
from collections.abc import Sequence

import psycopg

from query_service.projector.auditing import Finding, worst
from query_service.projector.decoding import Decoder
from query_service.projector.shift import Tools
from query_service.projector.verification import first_known, verify_copy, verify_rows, verify_sums
from shared_kernel.errors import TwinlogError
from shared_kernel.messaging.backoff import pause
from shared_kernel.observability import get_logger

EVERY = 30.0
ROWS_SHARE = 0.02
"""How much of the time goes into folding partitions again: the larger they are, the rarer that happens."""


class Auditor:
    """Runs in the one process that also listens to operators; what it finds is a metric and keeps it from ready."""

    def __init__(self, tools: Tools, decoder: Decoder, partitions: int) -> None:
        self._tools = tools
        self._decoder = decoder
        self._turns = [(number, projection) for number in range(partitions) for projection in tools.projections]
        self._turn = 0
        self._rows_at = 0.0
        self._found: dict[tuple[str, int], Sequence[Finding]] = {}

    async def run(self) -> None:
        """Until the process stops, or its task is cancelled."""
        while not self._tools.stop.is_set():
            try:
                await self._look()
            except (psycopg.Error, TwinlogError, OSError) as error:
                reason = error.detail if isinstance(error, TwinlogError) else type(error).__name__
                get_logger().warning("completeness could not be checked", reason=reason)
            await pause(self._tools.stop, EVERY)

    async def _look(self) -> None:
        sums = await verify_sums(self._tools)
        if time.monotonic() >= self._rows_at:
            started = time.monotonic()
            await self._take_turn()
            self._rows_at = time.monotonic() + (time.monotonic() - started) / ROWS_SHARE
        self._tell([*sums, *(finding for found in self._found.values() for finding in found)])

    async def _take_turn(self) -> None:
        partition, projection = self._turns[self._turn % len(self._turns)]
        self._turn += 1
        self._found[projection.name, partition] = await verify_rows(self._tools, self._decoder, projection, partition)
        if projection is self._tools.projections[0]:
            self._found["", partition] = await verify_copy(self._tools, partition)

    def _tell(self, findings: Sequence[Finding]) -> None:
        self._tools.status.incomplete(worst(findings), [projection.name for projection in self._tools.projections])
        first = min(findings, key=first_known, default=None)
        more = f" ({len(findings)} in all; see `twinlog projections verify --all`)" if len(findings) > 1 else ""
        self._tools.status.report("completeness", "" if first is None else first.sentence() + more)
