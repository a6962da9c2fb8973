"""The log over HTTP, for whatever the stream cannot serve: a hole, a wiped Redis, a read model built from zero."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson

from shared_kernel.errors import TwinlogError
from shared_kernel.events.envelope import StoredRow
from shared_kernel.messaging.feed import (
    EPOCH_HEADER,
    FEED_PATH,
    HEAD_HEADER,
    PAGE,
    PAGE_LIMIT,
    PARTITIONS_HEADER,
    SUMS_PATH,
    LogFacts,
    decode,
)
from shared_kernel.transport import trust_in

OPERATIONS_PATH = "/v1/operations"
STRETCH_BYTES = 16 * 1024 * 1024
TIMEOUT = httpx2.Timeout(10.0, pool=None)


class FeedUnavailable(TwinlogError):
    """The command service's feed cannot be read just now."""

    status = 503


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive events of one partition and the epoch they were read in."""

    epoch: int
    rows: Sequence[StoredRow]


class Feed:
    """Reads the feed with the query service's credential. Every method raises FeedUnavailable."""

    def __init__(
        self,
        command_url: str,
        credential: bytes,
        *,
        authority: Path | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Over HTTPS only authorities in the file `authority` are trusted; without one those of the machine.

        Raises StartupRefused when the file cannot be used.
        """
        self._client = httpx2.AsyncClient(
            base_url=command_url,
            headers={"Authorization": f"Bearer {credential.hex()}"},
            timeout=TIMEOUT,
            transport=transport,
            verify=trust_in(authority),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def facts(self) -> LogFacts:
        async with self._open({"after": 0, "limit": 1}) as response:
            await response.aread()
            return _facts(response)

    async def page(self, after: int, limit: int = PAGE) -> tuple[LogFacts, Sequence[StoredRow]]:
        """Up to `limit` events of all partitions after a position, and where the log stands."""
        async with self._open({"after": after, "limit": limit}) as response:
            rows = [_row(line) async for line in _lines(response)]
            return _facts(response), rows

    async def category(self, name: str, after: int) -> tuple[LogFacts, Sequence[StoredRow]]:
        """The next events of the streams `<name>-...` after a position, and where the log stands."""
        async with self._open({"after": after, "limit": PAGE, "category": name}) as response:
            rows = [_row(line) async for line in _lines(response)]
            return _facts(response), rows

    async def sums(self, upto: int) -> tuple[int, Sequence[int]]:
        """The newest position at or before `upto` where the log keeps its sums, and the sum of each partition there.

        (0, nothing) while there is none.
        """
        try:
            response = await self._client.get(SUMS_PATH, params={"upto": upto})
            found = orjson.loads(response.content)
            return int(found["position"]), [int(value) for value in found["sums"]]
        except (httpx2.HTTPError, KeyError, TypeError, ValueError) as error:
            raise FeedUnavailable(f"The sums of the log cannot be read ({type(error).__name__}).") from error

    async def record(self, order: Mapping[str, Any]) -> None:
        """Have the command service write down what an operator asks or has done."""
        try:
            response = await self._client.post(OPERATIONS_PATH, json=dict(order))
        except httpx2.HTTPError as error:
            raise FeedUnavailable(f"The command service does not answer ({type(error).__name__}).") from error
        if response.status_code != httpx2.codes.OK:
            raise FeedUnavailable(f"The command service does not write it down: it answers {response.status_code}.")

    async def read(
        self, partition: int, after: int, upto: int, size: int, page: int = PAGE_LIMIT
    ) -> AsyncGenerator[Stretch]:
        """All events of the partition in (after, upto], in stretches of at most `size`, asked for by the page."""
        while after < upto:
            limit = min(page, upto - after)  # no more events than positions
            count = 0
            async with self._open({"after": after, "partition": partition, "limit": limit}) as response:
                epoch = _facts(response).epoch
                async for rows in _stretches(response, upto, size):
                    yield Stretch(epoch, rows)
                    after, count = rows[-1].position, count + len(rows)
            if count < limit:
                return

    @asynccontextmanager
    async def _open(self, query: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        try:
            async with self._client.stream("GET", FEED_PATH, params=query) as response:
                if response.status_code != httpx2.codes.OK:
                    raise FeedUnavailable(f"The feed answers {response.status_code}.")
                yield response
        except httpx2.HTTPError as error:
            raise FeedUnavailable(f"The feed cannot be read ({type(error).__name__}).") from error


async def _stretches(response: httpx2.Response, upto: int, size: int) -> AsyncIterator[Sequence[StoredRow]]:
    rows: list[StoredRow] = []
    weight = 0
    async for line in _lines(response):
        row = _row(line)
        if row.position > upto:
            break
        rows.append(row)
        weight += len(line)
        if len(rows) == size or weight > STRETCH_BYTES:
            yield rows
            rows, weight = [], 0
    if rows:
        yield rows


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The client's own `aiter_lines` decodes to text first, which costs more than reading the events."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
    if rest:
        raise FeedUnavailable("The feed stopped in the middle of a line.")


def _row(line: bytes) -> StoredRow:
    try:
        return decode(line)
    except (KeyError, TypeError, ValueError) as error:
        raise FeedUnavailable("The feed sends lines that are not events; is this the command service?") from error


def _facts(response: httpx2.Response) -> LogFacts:
    try:
        names = (EPOCH_HEADER, HEAD_HEADER, PARTITIONS_HEADER)
        return LogFacts(*(int(response.headers[name]) for name in names))
    except (KeyError, ValueError) as error:
        raise FeedUnavailable("The feed does not say its epoch; is this the command service?") from error
