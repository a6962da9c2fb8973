"""Requests to the command API are limited by address, user and tenant; spoofed addresses do not help."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
import pytest
from redis.asyncio import Redis

from tests.support.cluster import Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, command_side_of

ALONE = {"rate_address": "off", "rate_user": "off", "rate_tenant": "off"}
DAY = 86_400

Boot = Callable[..., AbstractAsyncContextManager[CommandSide]]


@pytest.fixture
def boot(command_database: Database, vault_database: Vault, redis_url: str) -> Boot:
    """The command API with Redis and these quotas alone."""

    @asynccontextmanager
    async def booted(**settings: Any) -> AsyncIterator[CommandSide]:
        given = {**ALONE, "redis_url": redis_url, **settings}
        async with command_side_of(command_database, vault_database, given) as side:
            yield side

    return booted


def statuses(answers: list[httpx2.Response]) -> tuple[int, int]:
    """How many were let through, and how many refused."""
    found = [answer.status_code for answer in answers]
    assert set(found) <= {200, 201, 401, 429}, found
    return len(found) - found.count(429), found.count(429)


@pytest.mark.asvs("V2.4.1")
async def test_refusal_says_when_to_come_back_and_by_which_quota(boot: Boot) -> None:
    async with boot(rate_user=f"5/{DAY}") as side:
        ada = await side.register()
        answers = [await side.send("POST", "/v1/resources", {"name": "x"}, by=ada) for _ in range(7)]
    assert statuses(answers) == (5, 2)
    first, last = answers[0], answers[-1]
    assert first.headers["RateLimit-Policy"] == f'"user";q=5;w={DAY}'
    assert first.headers["RateLimit"].startswith('"user";r=4;t=')
    assert (last.json()["code"], last.headers["Content-Type"]) == ("rate-limited", "application/problem+json")
    assert 17_000 < int(last.headers["Retry-After"]) <= DAY // 5
    assert last.headers.get_list("RateLimit") == [f'"user";r=0;t={last.headers["Retry-After"]}']
    assert last.headers.get_list("RateLimit-Policy") == [f'"user";q=5;w={DAY}']


async def test_everybody_of_a_tenant_shares_the_tenants_quota_and_one_user_has_their_own(boot: Boot) -> None:
    async with boot(rate_user=f"3/{DAY}", rate_tenant=f"5/{DAY}") as side:
        people = [await side.register(name) for name in ("Ada", "Bob", "Cyd")]
        answers = [
            [await side.send("POST", "/v1/resources", {"name": "x"}, by=person) for _ in range(4)] for person in people
        ]
    assert [statuses(each) for each in answers] == [(3, 1), (2, 2), (0, 4)]
    assert answers[0][3].headers["RateLimit"].startswith('"user";')
    assert answers[1][2].headers["RateLimit"].startswith('"tenant";')
    assert answers[1][1].headers["RateLimit"].startswith('"user";r=1;')  # what others used up is nobody's business


async def test_address_is_limited_before_anybody_is_known_and_bad_tokens_count(boot: Boot) -> None:
    async with boot(rate_address=f"10/{DAY}") as side:
        answers = [await side.send("GET", "/.well-known/jwks.json") for _ in range(4)]
        answers += [await side.send("POST", "/v1/resources", {}, Authorization="Bearer nonsense") for _ in range(10)]
        assert statuses(answers) == (10, 4)
        assert {answer.status_code for answer in answers[4:10]} == {401}
        assert statuses([await side.send("GET", "/.well-known/jwks.json")]) == (0, 1)
        assert (await side.send("GET", "/healthz")).status_code == 200


@pytest.mark.asvs("V2.4.1")
async def test_registration_counts_for_a_hundred_requests(boot: Boot) -> None:
    async with boot(rate_address=f"250/{DAY}") as side:
        await side.register()
        known = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
        answers = [await side.send("POST", "/v1/users", known) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]
        cheap = await side.send("GET", "/.well-known/jwks.json")
        assert cheap.status_code == 200  # what is dear is refused first


@pytest.mark.asvs("V15.3.4")
async def test_written_addresses_change_nothing_unless_a_trusted_proxy_writes_them(boot: Boot) -> None:
    def forwarded(number: int) -> dict[str, str]:
        return {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}

    async with boot(rate_address=f"3/{DAY}") as side:
        jwks = "/.well-known/jwks.json"
        answers = [await side.http.get(jwks, headers=forwarded(number)) for number in range(6)]
        assert statuses(answers) == (3, 3)
    async with boot(rate_address=f"3/{DAY}", trusted_proxies="127.0.0.1", rate_tenant=f"9/{DAY}") as side:
        answers = [await side.http.get(jwks, headers=forwarded(100 + number)) for number in range(6)]
        assert statuses(answers) == (6, 0)
        same = [await side.http.get(jwks, headers={"X-Forwarded-For": f"9.9.9.{n}, 198.51.100.1"}) for n in range(5)]
        assert statuses(same) == (3, 2)


async def test_of_many_requests_at_once_exactly_the_quota_passes_on_two_workers(boot: Boot) -> None:
    async with boot(rate_user=f"100/{DAY}") as one, boot(rate_user=f"100/{DAY}") as other:
        ada = await one.register()
        sides = [one, other]
        answers = await asyncio.gather(*(sides[n % 2].send("DELETE", "/v1/sessions", by=ada) for n in range(250)))
    assert sorted(statuses(list(answers))) == [100, 150]


async def test_storm_is_refused_without_asking_redis_again(boot: Boot, redis_url: str) -> None:
    async with boot(rate_user=f"2/{DAY}") as side, Redis.from_url(redis_url) as redis:
        ada = await side.register()
        for _ in range(4):
            await side.send("DELETE", "/v1/sessions", by=ada)
        before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        answers = [await side.send("DELETE", "/v1/sessions", by=ada) for _ in range(50)]
        assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before
        assert statuses(answers) == (0, 50)
        metrics = (await side.send("GET", "/metrics")).text
    assert 'twinlog_rate_limited_total{quota="user"} 52.0' in metrics
    assert 'twinlog_refusals_total{code="rate-limited"} 52.0' in metrics


async def test_what_redis_keeps_names_neither_address_nor_account(boot: Boot, redis_url: str) -> None:
    async with boot(rate_address=f"100000/{DAY}") as side, Redis.from_url(redis_url) as redis:
        ada = await side.register()
        await side.sign_in({"grant_type": "password", "username": ada.email, "password": "wrong-otter"})
        keys = b" ".join([key async for key in redis.scan_iter()]).decode()
    assert "{rates}:address:command:" in keys
    assert "{rates}:account:" in keys
    assert "127.0.0" not in keys
    assert ada.email not in keys


@pytest.mark.asvs("V16.5.2")
async def test_ordinary_commands_go_on_without_redis_under_a_quota_of_this_process(boot: Boot) -> None:
    async with boot(redis_url="redis://127.0.0.1:9/0", rate_user=f"8/{DAY}", rate_processes=2) as side:
        ada = await side.register()
        answers = [await side.send("DELETE", "/v1/sessions", by=ada) for _ in range(6)]
    assert statuses(answers) == (4, 2)
    assert answers[0].headers["RateLimit-Policy"] == f'"user";q=4;w={DAY}'


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate_user", "many"), ("trusted_proxies", "everybody"), ("cors_origins", "*"), ("forwarded_header", "x-real-ip")],
)
def test_settings_that_cannot_be_meant_are_refused(
    command_database: Database, vault_database: Vault, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match=name):
        command_side_of(command_database, vault_database, {name: value}).__aenter__().send(None)


async def test_listed_origins_reach_the_api_from_a_browser(boot: Boot) -> None:
    async with boot(cors_origins="https://app.example.com, http://localhost:3000") as side:
        asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "PATCH"}
        answer = await side.http.options("/v1/me", headers=asked)
        assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (204, "PATCH")
        stranger = await side.http.options("/v1/me", headers={**asked, "Origin": "https://evil.example.com"})
        assert stranger.status_code == 405
