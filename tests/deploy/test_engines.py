"""Embedded engines: they start, recover, stop, and never outlive whoever started them."""

import psycopg
import redis


def test_an_empty_database_belongs_to_its_owner(empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE fresh (number int CONSTRAINT fresh_pk PRIMARY KEY)")
        assert connection.execute("SELECT current_user").fetchone() == ("twinlog_command_owner",)


def test_redis_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("key", "value")
