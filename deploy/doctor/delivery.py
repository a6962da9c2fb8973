"""The way of events: Redis, how far relay and projector are behind the log, what is parked, one epoch everywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from redis import Redis, RedisCluster

from deploy.doctor.connecting import Connection, rows
from deploy.doctor.finding import Check, fine, found
from shared_kernel.messaging.mark import MARK_KEY, Mark

LATE = 5.0
"""Seconds that an event may take to the next stage before it counts as stuck."""

SILENT = 10.0
"""Seconds without a new mark, which a healthy relay writes several times a second."""

ALMOST_FULL = 0.9

ANOTHER_PAIR = "correct the URLs: these stores belong to another pair."

_LOG = """
SELECT i.epoch, i.partitions, (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint AS now,
    COALESCE((SELECT e.position FROM events e ORDER BY e.position DESC LIMIT 1), 0) AS head
FROM installation i
"""
_OLDEST_AFTER = "SELECT recorded_at FROM events WHERE position > %s ORDER BY position LIMIT 1"
_OLDEST_OF_PARTITION = """
SELECT recorded_at FROM events WHERE position > %s AND position <= %s AND slot %% %s = %s ORDER BY position LIMIT 1
"""
_LIVE = """
SELECT c.projection, c.partition, c.position, c.epoch FROM public.checkpoints c
JOIN public.projections p ON p.name = c.projection AND p.active = c.generation
ORDER BY c.position
"""
_PARKED = """
SELECT projection, tenant, stream, count(position) AS events, min(position) AS position
FROM public.parked_events GROUP BY projection, tenant, stream ORDER BY min(position), projection
"""


@dataclass(frozen=True, slots=True)
class Log:
    """The log as it was a moment ago; `now` is its database's clock in microseconds."""

    epoch: int
    partitions: int
    now: int
    head: int


def read_mark(client: Redis | RedisCluster) -> Mark | None:
    """The relay's mark; None when there is none that can be read. Raises RedisError."""
    stored = client.get(MARK_KEY)
    try:
        return Mark.decode(stored) if isinstance(stored, bytes) else None
    except (KeyError, TypeError, ValueError):
        return None


def read_log(connection: Connection) -> Log:
    """Raises ValueError when the log was never installed."""
    (row,) = rows(connection, _LOG)
    return Log(row["epoch"], row["partitions"], row["now"], row["head"])


def redis_time(client: Redis) -> datetime:
    seconds, microseconds = client.time()
    return datetime.fromtimestamp(seconds + microseconds / 1_000_000, UTC)


def redis(client: Redis, place: str) -> Check:
    info = cast("Mapping[str, Any]", client.info("memory"))
    used, most, policy = info["used_memory"], info["maxmemory"], info["maxmemory_policy"]
    facts = {"used_bytes": used, "max_bytes": most, "policy": policy}
    if most and used > most * ALMOST_FULL:
        return found("redis", f"{used / most:.0%} of its memory is used.", "raise maxmemory.", **facts)
    if most and policy != "noeviction":
        advice = "set maxmemory-policy noeviction; streams are trimmed by their own rule."
        return found("redis", f"When memory is short, {policy} would throw streams away.", advice, **facts)
    return fine("redis", f"{place} answers, {used / (1 << 20):.0f} MiB used.", **facts)


def relay_lag(mark: Mark | None, log: Log, connection: Connection) -> Check:
    """`mark` must have been read before `log`."""
    if mark is None:
        return found("lag.relay", "The relay has written no mark.", "start the relay, or see why it is not ready.")
    behind = max(0, log.head - mark.head)
    oldest = rows(connection, _OLDEST_AFTER, mark.head) if behind else []
    late = _age(log, oldest)
    silent = (log.now - mark.at) / 1_000_000
    facts = {"positions": behind, "seconds": round(late, 3), "mark_age": round(silent, 3)}
    if mark.head > log.head:
        says = f"Redis knows position {mark.head}, the log ends at {log.head}: a database was restored."
        return found("lag.relay", says, "stop the relay and run `twinlog epoch new`.", **facts)
    if late > LATE or silent > SILENT:
        says = f"{behind} events are not published, the oldest for {late:.0f} s; the mark is {silent:.0f} s old."
        return found("lag.relay", says, "see whether the relay runs, and why it is not ready.", **facts)
    return fine("lag.relay", f"{behind} events to publish.", **facts)


def projector_lag(mark: Mark | None, log: Log, query: Connection, command: Connection) -> Check:
    """How far the slowest read model that answers questions is behind what the relay has published."""
    if mark is None:
        return found("lag.projector", "Without the relay's mark nobody knows the lag.", "see to the relay first.")
    checkpoints = rows(query, _LIVE)
    strange = _strange_partitions(mark, log, checkpoints)
    if strange:
        return found("lag.projector", strange, ANOTHER_PAIR)
    behind = _behind(mark, checkpoints)
    late, worst = 0.0, ""
    for partition, (position, projection) in behind.items():
        until = mark.last[partition]
        age = _age(log, rows(command, _OLDEST_OF_PARTITION, position, until, log.partitions, partition))
        late, worst = max((late, worst), (age, projection))
    positions = max((mark.head - position for position, _ in behind.values()), default=0)
    facts = {"positions": positions, "seconds": round(late, 3)}
    if late > LATE:
        says = f"{worst} has not handled an event for {late:.0f} s, {positions} positions behind."
        return found("lag.projector", says, "see whether the projector runs, and why it is not ready.", **facts)
    return fine("lag.projector", f"{positions} positions behind.", **facts)


def _strange_partitions(mark: Mark, log: Log, checkpoints: Sequence[Mapping[str, Any]]) -> str:
    """What does not fit; empty when all three have the log's number of partitions."""
    counted = max((row["partition"] + 1 for row in checkpoints), default=0)
    if len(mark.last) == log.partitions >= counted:
        return ""
    return f"The log has {log.partitions} partitions, the mark in Redis {len(mark.last)}, a read model {counted}."


def _behind(mark: Mark, checkpoints: Sequence[Mapping[str, Any]]) -> Mapping[int, tuple[int, str]]:
    """By partition the position and the name of the projection that is furthest behind the mark there."""
    slowest: dict[int, tuple[int, str]] = {}
    for row in checkpoints:
        if row["position"] < mark.last[row["partition"]]:
            slowest.setdefault(row["partition"], (row["position"], row["projection"]))
    return slowest


def parked(query: Connection) -> Check:
    streams = rows(query, _PARKED)
    if not streams:
        return fine("parked", "No stream stands still.")
    first = streams[0]
    says = f"{len(streams)} stand still, the first is {first['stream']} for {first['projection']}."
    advice = "`twinlog parked list` says why; correct the cause, then retry or skip."
    return found("parked", says, advice, streams=[dict(row) for row in streams])


def epoch(mark: Mark | None, log: Log, query: Connection) -> Check:
    """One log, one epoch: another one in Redis or in a checkpoint comes from before a restore, or from another pair."""
    others = {f"{row['projection']} of the query database": row["epoch"] for row in rows(query, _LIVE)}
    if mark is not None:
        others["Redis"] = mark.epoch
    strange = _strange(others, log.epoch)
    if strange:
        says = f"The log is in epoch {log.epoch}, but {strange[0]} in {others[strange[0]]}."
        advice = f"wait a moment after `twinlog epoch new`; if it stays, {ANOTHER_PAIR}"
        return found("epoch", says, advice, epochs=others)
    return fine("epoch", f"Epoch {log.epoch} everywhere.")


def _strange(others: Mapping[str, int], epoch: int) -> Sequence[str]:
    return [place for place, other in others.items() if other != epoch]


def _age(log: Log, oldest: Sequence[Mapping[str, int]]) -> float:
    return max(0.0, (log.now - oldest[0]["recorded_at"]) / 1_000_000) if oldest else 0.0
