"""Questions are limited by address, user and tenant, apart from commands."""

from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from shared_kernel.rates.limiter import Limiter
from tests.support.cluster import Database, Vault
from tests.support.query_side import Person, query_side_of

DAY = 86_400
ADA, BOB = Person(uuid4()), Person(uuid4())
RATES: dict[str, Any] = {"rate_address": f"9/{DAY}", "rate_user": f"4/{DAY}", "rate_tenant": "off"}


@pytest.mark.asvs("V2.4.1", "V15.2.2")
async def test_questions_are_refused_by_user_and_by_address(
    query_database: Database, vault_database: Vault, redis_url: str
) -> None:
    async with query_side_of(query_database, vault_database, redis_url, **RATES) as side:
        answers = [await side.get("/v1/resources", ADA) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
        assert answers[0].headers["RateLimit"].startswith('"user";r=3;')
        assert answers[-1].json()["code"] == "rate-limited"
        strangers = [await side.get("/v1/resources") for _ in range(7)]
        assert [answer.status_code for answer in strangers] == [401] * 5 + [429] * 2
        assert strangers[-1].headers["RateLimit"].startswith('"address";r=0;')
        assert (await side.get("/v1/resources", BOB)).status_code == 429  # from the same address, before any token
        async with Redis.from_url(redis_url) as redis:
            assert {key.split(b":")[2] async for key in redis.scan_iter("{rates}:*")} == {b"query"}


async def test_questions_go_on_without_redis(query_database: Database, vault_database: Vault, redis_url: str) -> None:
    nobody = Limiter.at("redis://127.0.0.1:9/0", 1)
    async with query_side_of(query_database, vault_database, redis_url, limiter=nobody, **RATES) as side:
        answers = [await side.get("/v1/resources", ADA) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
