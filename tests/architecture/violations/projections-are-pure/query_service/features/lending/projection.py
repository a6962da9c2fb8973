"""A lending desk, planted to break a rule."""

from redis.asyncio import Redis

REDIS = Redis
