"""A running stack with a second relay and a second projector, and everything in it that can be struck at random."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

import redis

from deploy.local.processes import FIRST_PAUSE, Process, ProcessGroup
from shared_kernel.background import end
from tests.support.stack import Stack
from tests.support.waiting import eventually
from tests.support.workers import beside, redis_url_of

FLUSH = "flushall"
OF_THE_STACK = ("relay", "projector", "valkey", "postgres")
SECOND = ("relay-b", "projector-b")
"""The processes that the stack has not."""

VICTIMS = (*OF_THE_STACK, *SECOND, FLUSH)
BACK_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Strike:
    """What was struck, how many requests were in flight, and which process died (0: none, Redis was emptied)."""

    victim: str
    in_flight: int
    pid: int


class Household:
    """Whom `strike` may hit, and who is back."""

    def __init__(self, stack: Stack, second: ProcessGroup, redis_url: str) -> None:
        self._stack = stack
        self._second = second
        self._redis_url = redis_url

    def pids(self) -> Mapping[str, int]:
        """The process ids by name; 0 is one that is between two lives."""
        return {**self._stack.pids(), **self._second.pids()}

    def choose(self, chance: Random) -> str:
        """A victim that is alive."""
        pids = self.pids()
        return chance.choice([name for name in VICTIMS if pids.get(name, 1)])

    async def strike(self, victim: str, in_flight: int) -> Strike:
        """Kill a process without a word, or empty Redis."""
        if victim == FLUSH:
            await eventually(self._flushed, "Redis can be emptied", BACK_WITHIN)
            return Strike(victim, in_flight, 0)
        # A signal to process 0, which stands for one between two lives, would hit the tests.
        await eventually(lambda: self.pids()[victim], f"{victim} lives", BACK_WITHIN)
        pid = self.pids()[victim]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if victim in {"valkey", "postgres"}:
            await self.back(Strike(victim, in_flight, pid))
        return Strike(victim, in_flight, pid)

    async def back(self, strike: Strike) -> None:
        """Wait until what was killed lives again, under another process id."""
        if strike.pid:
            name = strike.victim
            await eventually(lambda: self.pids()[name] not in {0, strike.pid}, f"{name} is back", BACK_WITHIN)

    def _flushed(self) -> bool:
        try:
            with redis.Redis.from_url(self._redis_url) as client:
                return bool(client.flushall())
        except redis.RedisError:
            return False


@asynccontextmanager
async def household(stack: Stack) -> AsyncIterator[Household]:
    """Run a second relay and a second projector beside those of the stack; at the end they are stopped in order."""
    processes = [beside(stack, name) for name in SECOND]
    second = ProcessGroup(processes, lambda _: None)
    await asyncio.to_thread(second.start)
    reviving = asyncio.create_task(_revive(second, processes))
    try:
        yield Household(stack, second, redis_url_of(stack))
    finally:
        await end(reviving)
        await asyncio.to_thread(second.stop)


async def _revive(group: ProcessGroup, processes: list[Process]) -> None:
    """As the stack does with its own, but without longer and longer pauses."""
    while True:
        for process in processes:
            process.pause = FIRST_PAUSE
        group.revive()
        await asyncio.sleep(0.2)
