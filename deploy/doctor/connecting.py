"""Connections that ask and do not linger: every statement of the doctor ends in seconds."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from deploy.migrate import told_by
from shared_kernel.messaging.client import names_cluster, one_node
from shared_kernel.process import place_of

SECONDS = 5
LIMITS = f"-c statement_timeout={SECONDS}s -c lock_timeout=1s"

Connection = psycopg.Connection[DictRow]


def connect(url: str) -> Connection:
    """Raises psycopg.OperationalError, which shows no password."""
    if not told_by(url):
        raise psycopg.OperationalError("the URL cannot be read")
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


@contextmanager
def redis_servers(url: str) -> "Iterator[tuple[Redis | RedisCluster, Mapping[str, Redis]]]":
    """A client, and by their places one for each server behind it: itself, or the primaries of a cluster.

    It raises redis.RedisError and OSError for what does not answer, ValueError for what is no URL.
    """
    patience = {"socket_connect_timeout": SECONDS, "socket_timeout": SECONDS, "retry": Retry(NoBackoff(), 0)}
    if not names_cluster(url):
        with Redis.from_url(url, **patience) as client:
            yield client, {place_of(url): client}
        return
    try:
        with RedisCluster.from_url(one_node(url), **patience) as cluster:
            yield cluster, {node.name: node.redis_connection for node in cluster.get_primaries()}
    except RedisClusterException as error:
        raise RedisConnectionError(str(error)) from error


def reason_of(error: Exception) -> str:
    """The first line of what went wrong."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
