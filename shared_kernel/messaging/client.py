"""The Redis client of relay and projector: it tells of a failure at once, they themselves decide when to try again."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

ANSWER_SECONDS = 5.0


def redis_client(url: str) -> Redis:
    """Connects when it is first used. Its commands raise redis.RedisError."""
    return Redis.from_url(
        url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS, retry=Retry(NoBackoff(), 0)
    )
