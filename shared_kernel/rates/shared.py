"""Buckets in Redis, which all processes share: one call of one script for all that wait at the same time."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from shared_kernel.background import end
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.messaging.client import redis_client
from shared_kernel.observability import get_logger
from shared_kernel.rates.quota import Charge, Level

PREFIX = "{rates}:"
"""In a cluster, one call's buckets must live on one node; the braces see to it."""
PATIENCE = 1.0
"""Seconds after which a Redis that does not answer counts as away."""
PROBE = 0.5
MAX_BATCH = 256

SCRIPT = """
local asked = cjson.decode(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local found = redis.call('MGET', unpack(KEYS))
local full_at, changed = {}, {}
for i, quota in ipairs(asked.buckets) do
  local kept = found[i] and tonumber(found[i]) or now
  if kept > now + 2 * quota[2] then kept = now end
  full_at[i] = math.min(math.max(kept, now), now + quota[2])
end
local answers = {}
for c, charges in ipairs(asked.calls) do
  local waits, refused = {}, false
  for n, charge in ipairs(charges) do
    local quota = asked.buckets[charge[1]]
    waits[n] = math.max(0, full_at[charge[1]] + charge[2] * quota[1] - now - quota[2])
    refused = refused or waits[n] > 0
  end
  local answer = {}
  for n, charge in ipairs(charges) do
    local i = charge[1]
    if not refused then
      full_at[i] = math.max(now, full_at[i] + charge[2] * asked.buckets[i][1])
      changed[i] = true
    end
    answer[n] = {waits[n], full_at[i] - now}
  end
  answers[c] = answer
end
for i in pairs(changed) do
  if full_at[i] > now then
    redis.call('SET', KEYS[i], string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000))
  else
    redis.call('DEL', KEYS[i])
  end
end
return cjson.encode(answers)
"""
"""KEYS are buckets; ARGV[1] names each bucket's interval and capacity, and the charges of each call.

A moment that lies further ahead than a window is long is of another server's clock, and cut to the window; one that
lies much further ahead is of a clock that has been set back, and forgotten: else everybody would have to wait.
"""
DIGEST = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

_log = get_logger("rates")


class NobodyCounts(ServiceUnavailable):
    """What limits the rate of requests cannot be reached just now; try again in a moment."""

    headers = MappingProxyType({"Retry-After": "1"})

    @classmethod
    def code(cls) -> str:
        return ServiceUnavailable.code()


@dataclass(slots=True)
class _Call:
    charges: Sequence[Charge]
    answer: "asyncio.Future[list[Level]]" = field(default_factory=asyncio.Future)


class SharedBuckets:
    """Ask with `take`. While one call is on its way the next ones gather; while Redis is away nobody waits for it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._asking: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    @classmethod
    def at(cls, url: str) -> "SharedBuckets":
        return cls(redis_client(url))

    async def close(self) -> None:
        await end(self._probing)
        await end(self._asking)
        await self._redis.aclose()

    @property
    def away(self) -> bool:
        """Whether Redis did not answer when it was last asked."""
        return self._probing is not None and not self._probing.done()

    async def take(self, charges: Sequence[Charge]) -> list[Level]:
        """Pays all charges, or none. Raises NobodyCounts."""
        if self.away:
            raise NobodyCounts
        call = _Call(charges)
        self._waiting.append(call)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._answer_all())
        return await call.answer

    async def _answer_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await self._ask(batch)
            except (RedisError, OSError, TimeoutError, ValueError) as error:
                self._give_up([*batch, *self._waiting], error)
                self._waiting = []
            else:
                for call, levels in zip(batch, found, strict=True):
                    if not call.answer.done():  # its caller may have gone
                        call.answer.set_result(levels)

    async def _ask(self, batch: Sequence[_Call]) -> list[list[Level]]:
        numbers: dict[str, int] = {}
        buckets: list[tuple[int, int]] = []
        calls: list[list[tuple[int, int]]] = []
        for call in batch:
            charges = []
            for charge in call.charges:
                number = numbers.setdefault(charge.bucket, len(numbers) + 1)
                if number > len(buckets):
                    buckets.append((charge.quota.interval, charge.quota.capacity))
                charges.append((number, charge.units))
            calls.append(charges)
        answered = await self._run(
            [PREFIX + bucket for bucket in numbers], orjson.dumps({"buckets": buckets, "calls": calls})
        )
        found = zip(batch, orjson.loads(answered), strict=True)
        return [
            [Level(charge, int(wait), int(full)) for charge, (wait, full) in zip(call.charges, levels, strict=True)]
            for call, levels in found
        ]

    async def _run(self, keys: Sequence[str], asked: bytes) -> bytes:
        given: tuple[Any, ...] = (len(keys), *keys, asked)
        try:
            return await self._say("EVALSHA", DIGEST, *given)
        except NoScriptError:
            return await self._say("EVAL", SCRIPT, *given)

    async def _say(self, *words: Any) -> bytes:
        return cast("bytes", await self._redis.execute_command(*words))  # type: ignore[no-untyped-call] # not annotated there

    def _give_up(self, calls: Sequence[_Call], error: Exception) -> None:
        for call in calls:
            if not call.answer.done():
                call.answer.set_exception(NobodyCounts())
        if not self.away:
            _log.warning("rates cannot be counted together", error=type(error).__name__)
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._say("TIME")
            except (RedisError, OSError, TimeoutError):
                continue
            _log.info("rates are counted together again")
            return
