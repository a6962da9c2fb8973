"""Sessions that hold something up: transactions open for long, statements that wait for another's lock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.doctor.connecting import Connection, rows
from deploy.doctor.finding import Check, fine, found
from shared_kernel.process import place_of

HIDDEN = "(not shown to this role)"
_SESSIONS = """
SELECT a.pid, a.usename AS role, a.application_name AS application, a.state, a.query,
    COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - o.since)::float8, 0) AS age,
    COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - w.since)::float8, 0) AS waiting,
    pg_blocking_pids(a.pid) AS blockers
FROM pg_catalog.pg_stat_activity a
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.backend_type = 'client backend' THEN a.xact_start END AS since
) o
LEFT JOIN LATERAL (
    SELECT min(l.waitstart) AS since FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND NOT l.granted
) w ON true
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND (o.since IS NOT NULL OR w.since IS NOT NULL)
"""
"""Only what a client has left open is long by mistake: vacuuming takes its time, and a worker is its leader's."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which a transaction is long, and after which a waiting one counts as blocked."""

    transaction: float = 30.0
    waiting: float = 3.0


@dataclass(frozen=True, slots=True)
class Session:
    """One session as one role sees it: what another role runs is hidden from it."""

    pid: int
    place: str
    role: str
    query: str
    age: float
    waiting: float
    blockers: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        seconds = {"age": round(self.age, 1), "waiting": round(self.waiting, 1)}
        return {"pid": self.pid, "role": self.role, "query": self.query, **seconds, "blockers": list(self.blockers)}


def sessions(connection: Connection, url: str) -> list[Session]:
    return [_session(row, place_of(url)) for row in rows(connection, _SESSIONS)]


def transactions(seen: Iterable[Session], limits: Limits) -> Check:
    """`seen` through several roles: of each session the account that says most counts."""
    all_seen = _each_once(seen)
    blocked = [each for each in all_seen if each.waiting > limits.waiting]
    long = [each for each in all_seen if each.age > limits.transaction and each.waiting <= limits.waiting]
    if not blocked and not long:
        return fine("transactions", "None is blocked, none is open for long.")
    facts = {"blocked": list(map(Session.as_dict, blocked)), "long": list(map(Session.as_dict, long))}
    return found("transactions", " ".join(_words(blocked, long)), _advice(blocked, long), **facts)


def _each_once(seen: Iterable[Session]) -> list[Session]:
    best: dict[tuple[str, int], Session] = {}
    for session in seen:
        key = session.place, session.pid
        if key not in best or best[key].query == HIDDEN:
            best[key] = session
    return list(best.values())


def _words(blocked: list[Session], long: list[Session]) -> Iterable[str]:
    for each in blocked:
        behind = ", ".join(map(str, each.blockers)) or "a lock"
        yield f"Process {each.pid} ({each.role}) has waited {each.waiting:.0f} s for {behind}: {each.query}."
    for each in long:
        yield f"Process {each.pid} ({each.role}) has a transaction open for {each.age:.0f} s: {each.query}."


def _advice(blocked: list[Session], long: list[Session]) -> str:
    culprits = {pid for each in blocked for pid in each.blockers} or {each.pid for each in long}
    ends = " ".join(f"SELECT pg_terminate_backend({pid});" for pid in sorted(culprits))
    return f"let it end, or end it as its role or an administrator: {ends}"


def _session(row: Mapping[str, Any], place: str) -> Session:
    hidden = row["state"] is None
    query = HIDDEN if hidden else " ".join(str(row["query"]).split())[:120]
    return Session(row["pid"], place, row["role"] or "?", query, row["age"], row["waiting"], tuple(row["blockers"]))
