"""The command service's public keys as the query service knows them: fetched, kept for a while, asked for again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import orjson
import structlog

from shared_kernel.auth.claims import UnknownKey
from shared_kernel.auth.jwk import Jwk
from shared_kernel.auth.tokens import ISSUER, TokenVerifier, VerifiedToken
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.transport import trust_in

PATH = "/.well-known/jwks.json"
MAX_AGE = 300.0
MIN_INTERVAL = 30.0
RETRY_INTERVAL = 1.0
STALE_LIMIT = 3_600.0
TIMEOUT = 2.0
MAX_BYTES = 65_536

Locate = Callable[[httpx2.AsyncClient], Awaitable[str]]


class RemoteKeys:
    """Keys by kid from `<url>/.well-known/jwks.json`; `url` is the command service's base address.

    Fresh for 5 minutes. An early refetch (an unknown kid) happens at most every 30 seconds, a retry after a failure
    at most every second, both once for all who ask at that moment. When fetching fails, the last keys serve for up to
    an hour.
    """

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        locate: Locate | None = None,
        authority: Path | None = None,
    ) -> None:
        """`locate` asks where the keys are each time before they are fetched, instead of at the usual path.

        Over HTTPS only authorities in the file `authority` are trusted; without one those of the machine. Raises
        StartupRefused when the file cannot be used.
        """
        self._url = url.rstrip("/") + PATH
        self._locate = locate
        self._client = client or httpx2.AsyncClient(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False, verify=trust_in(authority)
        )
        self._clock = clock
        self._keys: Mapping[str, Jwk] = MappingProxyType({})
        self._fetched_at: float | None = None
        self._not_before = float("-inf")
        self._flight: asyncio.Task[bool] | None = None
        self._log = structlog.get_logger("jwks")

    @property
    def keys(self) -> Mapping[str, Jwk]:
        """The cached keys. Raises ServiceUnavailable when there are none or they are older than an hour."""
        if self._fetched_at is None or self._clock() - self._fetched_at > STALE_LIMIT:
            raise ServiceUnavailable("The keys that access tokens are checked with cannot be fetched just now.")
        return self._keys

    @property
    def due(self) -> bool:
        """Whether the keys are missing or older than five minutes."""
        return self._fetched_at is None or self._clock() - self._fetched_at > MAX_AGE

    async def refresh(self) -> bool:
        """Fetch the keys unless that was done or tried just before; whether they were fetched. Never raises."""
        if self._flight is None:
            if self._clock() < self._not_before:
                return False
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        return await asyncio.shield(self._flight)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _landed(self, _task: asyncio.Task[bool]) -> None:
        self._flight = None

    async def _fetch(self) -> bool:
        try:
            keys = await self._download()
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            self._not_before = self._clock() + RETRY_INTERVAL
            self._log.warning("keys cannot be fetched", error=type(error).__name__, known=len(self._keys))
            return False
        self._keys = MappingProxyType(keys)
        self._fetched_at = self._clock()
        self._not_before = self._fetched_at + MIN_INTERVAL
        return True

    async def _download(self) -> dict[str, Jwk]:
        url = self._url if self._locate is None else await self._locate(self._client)
        return _by_kid(orjson.loads(await document_of(self._client, url)))


async def document_of(client: httpx2.AsyncClient, url: str) -> bytes:
    """What is published there. Raises httpx2.HTTPError, or ValueError for anything but a small 200."""
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        body = b""
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError("the document is too large")
        return body


class RemoteVerifier:
    """Verifies tokens with keys from elsewhere."""

    def __init__(self, keys: RemoteKeys, issuer: str = ISSUER) -> None:
        self._keys = keys
        self._verifier = TokenVerifier(lambda: keys.keys, issuer)

    async def verify(self, token: str, now: datetime) -> VerifiedToken:
        """The keys are fetched when they are due, and once more when the token names an unknown one.

        Raises Unauthenticated, or ServiceUnavailable when there are no keys to check with.
        """
        if self._keys.due:
            await self._keys.refresh()
        try:
            return self._verifier.verify(token, now)
        except UnknownKey:
            if not await self._keys.refresh():
                raise
            return self._verifier.verify(token, now)


def _by_kid(document: Any) -> dict[str, Jwk]:
    """Raises ValueError unless this is a JWK set in which every key has a kid."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys:
        raise ValueError("not a JWK set")
    if not all(isinstance(key, dict) and isinstance(key.get("kid"), str) for key in keys):
        raise ValueError("a key has no kid")
    return {key["kid"]: key for key in keys}
