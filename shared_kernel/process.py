"""From the shell to a running process and back: settings, logs, and one sentence with an exit code if it cannot run."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import psycopg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared_kernel.background import end
from shared_kernel.errors import SchemaMismatch, ServiceUnavailable, StartupRefused
from shared_kernel.observability import configure_logging
from shared_kernel.settings import SharedSettings
from shared_kernel.web.server import GC_THRESHOLD, GRACE_SECONDS, run

EXIT_REFUSED = 2
EXIT_UNREACHABLE = 3
CONNECT_SECONDS = 5
SERVING_ENDS = GRACE_SECONDS + 5.0
"""Seconds after which probes that should have stopped serving are told once more."""

S = TypeVar("S", bound=SharedSettings)
Check = Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]


class Unreachable(StartupRefused):
    """Something that this process needs cannot be reached."""


def run_process(
    service: str,
    load: Callable[[], S],
    main: Callable[[S], Coroutine[Any, Any, None]],
    gc_threshold: int = GC_THRESHOLD,
) -> int:
    """Run `main` with the settings that `load` finds until it is told to stop; the exit code.

    0 after a graceful stop, 2 when the settings or a schema are refused, 3 when something cannot be reached.
    """
    try:
        settings = load()
        configure_logging(service, settings.log_level)
        run(main(settings), gc_threshold)
    except Unreachable as error:
        return _say(error.detail, EXIT_UNREACHABLE)
    except (StartupRefused, SchemaMismatch) as error:
        return _say(error.detail, EXIT_REFUSED)
    except (ServiceUnavailable, psycopg.OperationalError) as error:  # it went away between the first look and the start
        return _say(str(error).strip().splitlines()[0], EXIT_UNREACHABLE)
    return 0


async def work_and_serve(
    work: Coroutine[Any, Any, None], serving: Coroutine[Any, Any, None], stop: asyncio.Event
) -> None:
    """Run `work` beside its probes: when `serving` ends, `stop` is set and `work` finishes what it has in hand.

    A process whose work has failed must not go on answering that it is alive, so that ends both, and is raised.
    """
    tasks = [asyncio.create_task(work), asyncio.create_task(serving)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await end(tasks[1], again=SERVING_ENDS)
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code


def place_of(url: str) -> str:
    """A URL as it may be shown: without user, password and parameters. Whatever is wrong with the URL, this is told."""
    authority, slash, path = url.partition("://")[2].partition("/")
    shown = f"{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]
    place = shown.rpartition("@")[2]  # whoever forgot to escape a slash in the password
    return place if place and not place.startswith("/") else f"localhost{place}"


async def require_database(url: str, check: Check) -> None:
    """Connect once and run `check` (usually: is this the schema we need?).

    Raises Unreachable, which names the place but no password, and whatever `check` raises.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise Unreachable(f"The database at {place_of(url)} cannot be reached: {reason}") from None
    async with connection:
        await check(connection)


async def require_redis(client: Redis, url: str) -> None:
    """Raises Unreachable when no Redis answers there."""
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise Unreachable(f"Redis at {place_of(url)} cannot be reached: {type(error).__name__}.") from None
