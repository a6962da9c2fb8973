"""Connections that ask and do not linger: every statement of the doctor ends in seconds."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

SECONDS = 5
LIMITS = f"-c statement_timeout={SECONDS}s -c lock_timeout=1s"

Connection = psycopg.Connection[DictRow]


def connect(url: str) -> Connection:
    """Raises psycopg.OperationalError."""
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=SECONDS,
        options=LIMITS,
        application_name="twinlog-doctor",
        row_factory=dict_row,
    )


def rows(connection: Connection, statement: str, *values: Any) -> Sequence[DictRow]:
    return connection.execute(statement, values).fetchall()


def redis_client(url: str) -> "Redis":
    return Redis.from_url(
        url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0), decode_responses=False
    )


def reason_of(error: Exception) -> str:
    """The first line of what went wrong."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
