"""Buckets keep to their quota exactly, in one process and in Redis, and lock nobody out for longer than a window."""

import asyncio
import math
import random
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared_kernel.errors import ServiceUnavailable
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.local import MAX_BUCKETS, LocalBuckets
from shared_kernel.rates.quota import Charge, Level, Quota, refused
from shared_kernel.rates.shared import PREFIX, NobodyCounts, SharedBuckets
from tests.support.valkey_cluster import running_valkey_cluster
from tests.support.waiting import eventually

SLOW = Quota("slow", 100, 86_400)
"""Nothing comes back while a test runs."""
NOWHERE = "redis://127.0.0.1:9/0"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def shared(redis_url: str) -> AsyncIterator[SharedBuckets]:
    buckets = SharedBuckets.at(redis_url)
    yield buckets
    await buckets.close()


def paid(levels: list[Level]) -> bool:
    return refused(levels) is None


def test_quota_is_written_as_amount_and_seconds() -> None:
    assert Quota.parse("user", "100/60") == Quota("user", 100, 60)
    assert Quota.parse("user", "off") is None
    for text in ("", "100", "0/60", "100/0", "-1/60", "1e3/60", "100/60/2", "1/86401", "60000001/60", "many", " 1/1"):
        with pytest.raises(ValueError, match="must be <amount>/<seconds>"):
            Quota.parse("user", text)


@pytest.mark.parametrize("amount", [1, 3, 7, 30, 599])
def test_a_full_bucket_pays_exactly_its_quota(amount: int) -> None:
    buckets, quota = LocalBuckets(clock=Clock()), Quota("q", amount, 60)
    answers = [paid(buckets.take([Charge(quota, "k")])) for _ in range(amount + 5)]
    assert answers == [True] * amount + [False] * 5


def test_what_was_spent_comes_back_evenly() -> None:
    clock = Clock()
    buckets, quota = LocalBuckets(clock=clock), Quota("q", 6, 60)
    for _ in range(6):
        buckets.take([Charge(quota, "k")])
    over = refused(buckets.take([Charge(quota, "k")]))
    assert over is not None
    assert (over.retry_after, over.left) == (10, 0)
    clock.now += 9.9
    assert not paid(buckets.take([Charge(quota, "k")]))
    clock.now += 0.2
    assert paid(buckets.take([Charge(quota, "k")]))
    assert not paid(buckets.take([Charge(quota, "k")]))
    clock.now += 3_600
    assert [paid(buckets.take([Charge(quota, "k")])) for _ in range(7)] == [True] * 6 + [False]


def test_dear_charges_count_for_more_and_are_never_too_dear() -> None:
    buckets, quota = LocalBuckets(clock=Clock()), Quota("q", 10, 60)
    assert paid(buckets.take([Charge(quota, "k", 7)]))
    assert not paid(buckets.take([Charge(quota, "k", 4)]))
    assert paid(buckets.take([Charge(quota, "k", 3)]))
    assert paid(buckets.take([Charge(quota, "other", 1_000)]))


def test_nothing_is_paid_when_one_of_several_refuses() -> None:
    buckets, wide, narrow = LocalBuckets(clock=Clock()), Quota("wide", 10, 60), Quota("narrow", 1, 60)
    assert paid(buckets.take([Charge(wide, "k"), Charge(narrow, "k")]))
    for _ in range(20):
        assert not paid(buckets.take([Charge(wide, "k"), Charge(narrow, "k")]))
    (level,) = buckets.take([Charge(wide, "k")])
    assert level.left == 8


def test_forgiven_charges_are_there_again_and_fill_nothing_beyond() -> None:
    buckets, quota = LocalBuckets(clock=Clock()), Quota("q", 2, 60)
    for _ in range(5):
        buckets.take([Charge(quota, "k", -1)])
    for _ in range(5):
        assert paid(buckets.take([Charge(quota, "k")]))
        buckets.take([Charge(quota, "k", -1)])
    assert [paid(buckets.take([Charge(quota, "k")])) for _ in range(3)] == [True, True, False]


def test_processes_that_cannot_agree_take_their_part_each() -> None:
    each = [LocalBuckets(processes=4, clock=Clock()) for _ in range(4)]
    answers = [paid(buckets.take([Charge(SLOW, "k")])) for buckets in each for _ in range(100)]
    assert sum(answers) == SLOW.amount
    assert paid(LocalBuckets(processes=1_000, clock=Clock()).take([Charge(SLOW, "k")]))


def test_memory_is_bounded_and_keeps_those_who_have_spent_most() -> None:
    buckets, quota = LocalBuckets(clock=Clock()), Quota("q", 3, 60)
    for _ in range(3):
        buckets.take([Charge(quota, "greedy")])
    for number in range(MAX_BUCKETS + 1):
        buckets.take([Charge(quota, str(number))])
    assert len(buckets) <= MAX_BUCKETS
    assert not paid(buckets.take([Charge(quota, "greedy")]))


async def test_of_a_thousand_at_once_exactly_the_quota_is_paid(redis_url: str) -> None:
    processes = [SharedBuckets.at(redis_url) for _ in range(4)]
    try:
        answers = await asyncio.gather(*(processes[n % 4].take([Charge(SLOW, "k")]) for n in range(1_000)))
    finally:
        for each in processes:
            await each.close()
    assert sum(map(paid, answers)) == SLOW.amount


async def test_requests_that_wait_together_share_one_call(redis_url: str, shared: SharedBuckets) -> None:
    async with Redis.from_url(redis_url) as redis:
        await shared.take([Charge(SLOW, "warm")])
        before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await asyncio.gather(*(shared.take([Charge(SLOW, str(n % 7)), Charge(SLOW, "all")]) for n in range(90)))
        after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before <= 2


async def test_redis_and_memory_decide_alike(shared: SharedBuckets) -> None:
    chance, local = random.Random(20261123), LocalBuckets(clock=Clock())  # noqa: S311 - repeatable, not secret
    quotas = [Quota("a", 40, 86_400), Quota("b", 25, 86_400)]
    for _ in range(300):
        cost = chance.choice([1, 1, 2, 5, -1])
        charges = [Charge(quota, chance.choice("xyz"), cost) for quota in chance.sample(quotas, chance.randint(1, 2))]
        found, expected = await shared.take(charges), local.take(charges)
        assert [level.wait > 0 for level in found] == [level.wait > 0 for level in expected]
        assert all(abs(one.left - other.left) <= 1 for one, other in zip(found, expected, strict=True))


async def test_on_a_cluster_the_buckets_of_one_call_are_on_one_node() -> None:
    with running_valkey_cluster() as url:
        buckets = SharedBuckets.at(url)
        try:
            calls = (buckets.take([Charge(SLOW, "all"), Charge(SLOW, str(n))]) for n in range(150))
            answers = await asyncio.gather(*calls)
        finally:
            await buckets.close()
    assert sum(map(paid, answers)) == SLOW.amount


async def test_bucket_outlives_the_scripts_cache_and_is_gone_when_full(redis_url: str, shared: SharedBuckets) -> None:
    quota = Quota("q", 2, 2)
    async with Redis.from_url(redis_url) as redis:
        assert paid(await shared.take([Charge(quota, "k")]))
        await redis.script_flush()
        assert paid(await shared.take([Charge(quota, "k")]))
        assert 0 < await redis.pttl(f"{PREFIX}q:k") <= 2_000
        await shared.take([Charge(quota, "k", -1)])
        await shared.take([Charge(quota, "k", -1)])
        assert await redis.exists(f"{PREFIX}q:k") == 0


@pytest.mark.parametrize(("ahead", "left"), [(61, 0), (3_600, 9)])
async def test_clock_that_was_set_back_locks_nobody_out(
    redis_url: str, shared: SharedBuckets, ahead: int, left: int
) -> None:
    quota = Quota("q", 10, 60)
    async with Redis.from_url(redis_url) as redis:
        seconds, _ = await redis.time()
        await redis.set(f"{PREFIX}q:k", f"{(seconds + ahead) * 1_000_000:.0f}")
        (level,) = await shared.take([Charge(quota, "k")])
    assert level.left == left
    assert (level.wait == 0) is (left > 0)


async def test_wiped_redis_forgets_and_goes_on(redis_url: str, shared: SharedBuckets) -> None:
    for _ in range(SLOW.amount):
        await shared.take([Charge(SLOW, "k")])
    assert not paid(await shared.take([Charge(SLOW, "k")]))
    async with Redis.from_url(redis_url) as redis:
        await redis.flushall()
    assert paid(await shared.take([Charge(SLOW, "k")]))


@pytest.mark.parametrize("kept", ["99999999999999999", "not a number", "-5", ""])
async def test_clock_that_was_set_back_locks_nobody_out_for_longer_than_a_window(
    redis_url: str, shared: SharedBuckets, kept: str
) -> None:
    quota = Quota("q", 5, 5)
    async with Redis.from_url(redis_url) as redis:
        await redis.set(f"{PREFIX}q:k", kept)
        (level,) = await shared.take([Charge(quota, "k")])
    assert level.wait <= 1_000_000
    assert level.full_in <= 5_000_000


async def test_without_redis_this_process_counts_alone_but_not_what_can_be_guessed() -> None:
    limiter = Limiter(SharedBuckets.at(NOWHERE), LocalBuckets(processes=2, clock=Clock()))
    try:
        answers = [paid(await limiter.take([Charge(SLOW, "k")])) for _ in range(60)]
        assert sum(answers) == SLOW.amount // 2
        with pytest.raises(NobodyCounts) as away:
            await limiter.take([Charge(SLOW, "k")], closed=True)
        assert isinstance(away.value, ServiceUnavailable)
        assert (away.value.status, away.value.headers["Retry-After"]) == (503, "1")
    finally:
        await limiter.close()


async def test_a_redis_that_is_known_to_be_away_is_not_asked() -> None:
    asked = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        buckets = SharedBuckets.at(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
        try:
            with pytest.raises(NobodyCounts):
                await buckets.take([Charge(SLOW, "k")])
            before = asked
            assert (before > 0, buckets.away) == (True, True)
            for _ in range(100):
                with pytest.raises(NobodyCounts):
                    await buckets.take([Charge(SLOW, "k")])
            assert asked < before + 20, "but for somebody who looks now and then whether it is back"
        finally:
            await buckets.close()


async def test_redis_that_comes_back_counts_again(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        buckets = SharedBuckets.at(redis_url)
        try:
            await redis.client_pause(1_500)
            with pytest.raises(NobodyCounts):
                await buckets.take([Charge(SLOW, "k")])
            await eventually(lambda: not buckets.away, "counting together again")
            assert paid(await buckets.take([Charge(SLOW, "k")]))
        finally:
            await buckets.close()


async def test_caller_who_leaves_takes_nobody_along(shared: SharedBuckets) -> None:
    gone = asyncio.create_task(shared.take([Charge(SLOW, "k")]))
    stays = asyncio.create_task(shared.take([Charge(SLOW, "k")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert paid(await stays)


async def test_without_any_redis_this_process_is_alone() -> None:
    limiter = Limiter.at(None, 1)
    answers = [paid(await limiter.take([Charge(SLOW, "k")], closed=True)) for _ in range(SLOW.amount + 1)]
    assert sum(answers) == SLOW.amount
    await limiter.close()


def test_level_tells_whole_seconds_and_units() -> None:
    level = Level(Charge(Quota("q", 10, 60), "k"), wait=1, full_in=59_999_999)
    assert (level.retry_after, level.left) == (1, 0)
    assert math.isclose(Quota("q", 7, 60).capacity, 60_000_000, rel_tol=1e-6)
    assert refused([]) is None
