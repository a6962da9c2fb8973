"""One look at everything; what cannot be reached keeps nobody from looking at the rest."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import psycopg
from redis import RedisError

from deploy.doctor import databases, delivery, keys
from deploy.doctor.connecting import Connection, connect, reason_of, redis_servers
from deploy.doctor.disk import disk
from deploy.doctor.finding import Check, State, found, skipped, unreachable
from deploy.doctor.processes import process
from deploy.doctor.rights import rights
from deploy.doctor.surroundings import Surroundings, Way
from deploy.doctor.transactions import Limits, Session, sessions, transactions
from deploy.local.environment import DATABASES
from shared_kernel.clock import SystemClock
from shared_kernel.messaging.mark import Mark
from shared_kernel.process import place_of

NOT_SEEN = "Not looked at: it needs what cannot be reached."
NO_URL = "No URL of it is known."
NO_WALL = "The query API reads as the projector does, all tenants; TWINLOG_QUERY_READER_URL gives it a role of its own."


@dataclass(slots=True)
class Connected:
    """Ways that are open, and the reasons why others are not."""

    ways: dict[Way, Connection] = field(default_factory=dict)
    closed: dict[Way, psycopg.Error] = field(default_factory=dict)
    said: set[Way] = field(default_factory=set)

    def to(self, database: str, service: str) -> Connection | None:
        """The connection that this service would have."""
        wanted = database, service
        return next((found for way, found in self.ways.items() if (way.database, way.service) == wanted), None)


def examine(around: Surroundings, limits: Limits | None = None) -> list[Check]:
    """Every check in the order in which a person should read them. Never raises for what it finds."""
    settings = keys.settings(around)  # changes variables for a moment, so nothing else runs meanwhile
    with ThreadPoolExecutor(len(around.urls)) as threads, ExitStack() as stack:
        asked = [threads.submit(process, name, url, around.pids.get(name)) for name, url in around.urls.items()]
        connected = _connect(around, stack)
        return [
            *(future.result() for future in asked),
            *_databases(around, connected),
            _transactions(connected, limits or Limits()),
            *_delivery(around, connected),
            *settings,
            *_keys(around, connected),
            disk(around.folder),
        ]


def _connect(around: Surroundings, stack: ExitStack) -> Connected:
    connected = Connected()
    ways = around.all_ways()
    with ThreadPoolExecutor(max(len(ways), 1)) as threads:
        futures = {way: threads.submit(connect, way.url) for way in ways}
    for way, future in futures.items():
        try:
            connected.ways[way] = stack.enter_context(future.result())
        except psycopg.Error as error:
            connected.closed[way] = error
    return connected


def _databases(around: Surroundings, connected: Connected) -> Iterator[Check]:
    known = {way.database: way for way in reversed(around.run_time())}
    for name in DATABASES:
        if name.lower() in known:
            yield from _asked(known[name.lower()], connected, _database)
        else:
            yield unreachable(f"database.{name.lower()}", NO_URL, f"set TWINLOG_{name}_DATABASE_URL.")
    yield from _all_rights(around, connected)


def _all_rights(around: Surroundings, connected: Connected) -> Iterator[Check]:
    for way in around.run_time():
        others = {other.name for other in around.run_time() if other.place == way.place}
        yield from _asked(way, connected, partial(_rights, foreign=sorted(others - {way.name})))
    if not any(way.service == "reader" for way in around.run_time()):
        yield skipped("rights.query-reader", NO_WALL)


Look = Callable[[Way, Connection], Iterator[Check]]


def _asked(way: Way, connected: Connected, look: Look) -> Iterator[Check]:
    """What a look at a database yields, or why there was none; said once for each way."""
    try:
        if way in connected.ways:
            yield from look(way, connected.ways[way])
        elif way not in connected.said:
            yield databases.not_reached(way, connected.closed[way])
    except psycopg.Error as error:
        yield databases.not_reached(way, error)
    connected.said.add(way)


def _database(way: Way, connection: Connection) -> Iterator[Check]:
    yield databases.reached(way, connection)
    yield databases.revision(way, connection)
    yield databases.clock(f"clock.{way.database}", partial(databases.time_of, connection), SystemClock().now)


def _rights(way: Way, connection: Connection, foreign: Sequence[str]) -> Iterator[Check]:
    yield rights(way, connection, foreign)


def _transactions(connected: Connected, limits: Limits) -> Check:
    if not connected.ways:
        return skipped("transactions", NOT_SEEN)
    seen: list[Session] = []
    failed: list[Check] = []
    for way, connection in connected.ways.items():
        try:
            seen += sessions(connection, way.url)
        except psycopg.Error as error:
            failed.append(_failed("transactions", error))
    check = transactions(seen, limits)
    return failed[0] if failed and check.state is State.FINE else check


def _delivery(around: Surroundings, connected: Connected) -> Iterator[Check]:
    checks, mark = _redis(around.redis_url())
    yield from checks
    silent = checks[0].state is State.UNREACHABLE
    query, command = connected.to("query", "query"), connected.to("command", "command")
    yield _with(query, "parked", delivery.parked)
    if silent or query is None or command is None:
        yield from (skipped(name, NOT_SEEN) for name in ("lag.relay", "lag.projector", "epoch"))
        return
    yield from _lags(mark, query, command)


def _redis(url: str | None) -> tuple[list[Check], Mark | None]:
    if url is None:
        return [unreachable("redis", NO_URL, "set TWINLOG_REDIS_URL.")], None
    try:
        with redis_servers(url) as (client, servers):
            mark = delivery.read_mark(client)
            seen = [delivery.redis(server, place) for place, server in servers.items()]
            times = (partial(delivery.redis_time, server) for server in servers.values())
            clocks = [databases.clock("clock.redis", time, SystemClock().now) for time in times]
            return [_first_not_fine(seen), _first_not_fine(clocks)], mark
    except (RedisError, OSError, ValueError) as error:
        reason = "that is no URL of a Redis" if isinstance(error, ValueError) else reason_of(error)
        says = f"{place_of(url)} does not answer: {reason}"
        return [unreachable("redis", says, "start it; commands go on meanwhile, read models wait.")], None


def _first_not_fine(checks: Sequence[Check]) -> Check:
    return next((check for check in checks if check.state is not State.FINE), checks[-1])


def _lags(mark: Mark | None, query: Connection, command: Connection) -> Iterator[Check]:
    try:
        log = delivery.read_log(command)
        yield delivery.relay_lag(mark, log, command)
        yield delivery.projector_lag(mark, log, query, command)
        yield delivery.epoch(mark, log, query)
    except ValueError:
        yield found("lag", "The log was never installed.", "run `twinlog migrate`.")
    except psycopg.Error as error:
        yield _failed("lag", error)


def _keys(around: Surroundings, connected: Connected) -> Iterator[Check]:
    yield keys.agreement(around)
    yield keys.files(around)
    yield keys.token(around)
    yield _with(connected.to("vault", "query"), "keys.vault", partial(keys.vault, around))


def _with(connection: Connection | None, name: str, look: Callable[[Connection], Check]) -> Check:
    """A check that needs a connection, or the reason why it was not made."""
    if connection is None:
        return skipped(name, NOT_SEEN)
    try:
        return look(connection)
    except psycopg.Error as error:
        return _failed(name, error)


def _failed(name: str, error: psycopg.Error) -> Check:
    """A look that went wrong has not shown that all is well."""
    says = f"It cannot be looked at: {reason_of(error)}"
    if isinstance(error, psycopg.OperationalError):
        return unreachable(name, says, "see to this database, and look again.")
    return found(name, says, "run `twinlog migrate`, which brings tables and rights to what this release needs.")
