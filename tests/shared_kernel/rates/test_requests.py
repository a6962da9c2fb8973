"""Requests are charged to user, address and tenant together, and whoever is refused is remembered."""

from uuid import UUID

import pytest
from starlette.requests import Request

from shared_kernel.auth.principal import Principal
from shared_kernel.errors import RateLimited
from shared_kernel.observability import Metrics
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.local import LocalBuckets
from shared_kernel.rates.requests import FIELDS_KEY, MAX_REMEMBERED, Pseudonyms, RequestQuotas, RequestRates

ADA, BOB = UUID(int=1), UUID(int=2)
ALONE = {"address": "off", "user": "off", "tenant": "off"}


def rates(**quotas: str) -> RequestRates:
    found = RequestQuotas.parse(**{**ALONE, **quotas})
    return RequestRates("test", Limiter(None, LocalBuckets()), found, Pseudonyms(b"k" * 32), Metrics("test"))


def request(address: str | None = "203.0.113.7") -> Request:
    return Request({"type": "http", "headers": [], "client": None if address is None else (address, 4711)})


def somebody(user: UUID = ADA, tenant: str = "acme") -> Principal:
    return Principal(user, tenant, UUID(int=9), ("member",), "aal1", 0)


def fields_of(asked: Request) -> dict[bytes, bytes]:
    raw: list[tuple[bytes, bytes]] = asked.scope.get(FIELDS_KEY, [])
    return dict(raw)


async def test_without_quotas_nothing_is_counted_or_said() -> None:
    limits, asked = rates(), request()
    for _ in range(100):
        limits.refuse_known(asked)
        await limits.admit(asked, somebody(), 1)
        await limits.admit_stranger(asked, 1)
    assert fields_of(asked) == {}


async def test_caller_hears_of_their_own_quota_never_of_the_tenants() -> None:
    asked = request()
    await rates(address="50/60", user="9/60", tenant="20/60").admit(asked, somebody(), 2)
    assert fields_of(asked)[b"ratelimit-policy"] == b'"user";q=9;w=60'
    assert fields_of(asked)[b"ratelimit"].startswith(b'"user";r=7;')
    await rates(address="50/60", tenant="20/60").admit(asked := request(), somebody(), 1)
    assert fields_of(asked)[b"ratelimit"].startswith(b'"address";r=49;')
    await rates(tenant="20/60").admit(asked := request(), somebody(), 1)
    assert fields_of(asked) == {}


async def test_addresses_of_one_ipv6_network_count_as_one_and_others_apart() -> None:
    limits = rates(address="2/86400")
    for address in ("2001:db8::1", "2001:db8::ffff:1"):
        await limits.admit_stranger(request(address), 1)
    with pytest.raises(RateLimited):
        await limits.admit_stranger(request("2001:db8:0:0:5::1"), 1)
    for other in ("2001:db8:0:1::1", "203.0.113.7", "203.0.113.8", None, "unix-socket"):
        await limits.admit_stranger(request(other), 1)


async def test_refused_address_is_refused_before_its_token_is_looked_at() -> None:
    limits = rates(address="3/86400")
    for _ in range(3):
        limits.refuse_known(request())
        await limits.admit_stranger(request(), 1)
    with pytest.raises(RateLimited):
        await limits.admit(request(), somebody(), 1)
    with pytest.raises(RateLimited) as known:
        limits.refuse_known(request())
    assert int(known.value.headers["Retry-After"]) > 28_000
    assert known.value.headers["RateLimit"].startswith('"address";r=0;')
    limits.refuse_known(request("198.51.100.1"))


async def test_refusal_of_something_dear_does_not_keep_out_what_is_cheap() -> None:
    limits = rates(address="10/86400")
    await limits.admit_stranger(request(), 5)
    with pytest.raises(RateLimited):
        await limits.admit_stranger(request(), 8)
    limits.refuse_known(request())
    await limits.admit_stranger(request(), 5)


async def test_refusal_is_forgotten_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    limits = by_hand(monkeypatch, now, user="1/60")
    await limits.admit(request(), somebody(), 1)
    for _ in range(2):
        with pytest.raises(RateLimited):
            await limits.admit(request(), somebody(), 1)
    await limits.admit(request(), somebody(BOB), 1)
    now[0] += 60.001
    await limits.admit(request(), somebody(), 1)


async def test_those_whose_time_is_over_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_kernel.rates.requests.MAX_REMEMBERED", 3)
    now = [1_000.0]
    limits = by_hand(monkeypatch, now, address="1/60")

    async def is_remembered(address: str) -> bool:
        """After a refusal, without asking anybody."""
        await limits.admit_stranger(request(address), 1)
        with pytest.raises(RateLimited):
            await limits.admit_stranger(request(address), 1)
        try:
            limits.refuse_known(request(address))
        except RateLimited:
            return True
        return False

    assert [await is_remembered(f"203.0.113.{number}") for number in range(5)] == [True] * 3 + [False] * 2
    now[0] += 60.001
    assert [await is_remembered(f"198.51.100.{number}") for number in range(5)] == [True] * 3 + [False] * 2


def by_hand(monkeypatch: pytest.MonkeyPatch, now: list[float], **quotas: str) -> RequestRates:
    """With a clock that stands still."""
    monkeypatch.setattr("shared_kernel.rates.requests.time.monotonic", lambda: now[0])
    found, buckets = RequestQuotas.parse(**{**ALONE, **quotas}), LocalBuckets(clock=lambda: now[0])
    return RequestRates("test", Limiter(None, buckets), found, Pseudonyms(b"k" * 32), Metrics("test"))


async def test_more_callers_than_are_remembered_are_all_counted() -> None:
    limits = rates(user="1/86400")
    for number in range(MAX_REMEMBERED + 2):
        await limits.admit(request(), somebody(UUID(int=number + 10)), 1)
    with pytest.raises(RateLimited):
        await limits.admit(request(), somebody(UUID(int=10)), 1)


async def test_services_and_tenants_count_apart() -> None:
    limits = rates(tenant="1/86400")
    await limits.admit(request(), somebody(tenant="acme"), 1)
    await limits.admit(request(), somebody(tenant="globex"), 1)
    with pytest.raises(RateLimited):
        await limits.admit(request(), somebody(BOB, "acme"), 1)


def test_pseudonym_names_nobody_and_is_the_same_everywhere() -> None:
    one, other, foreign = Pseudonyms(b"k" * 32), Pseudonyms(b"k" * 32), Pseudonyms(b"x" * 32)
    assert one.of("203.0.113.7") == other.of("203.0.113.7") != foreign.of("203.0.113.7")
    assert "203" not in one.of("203.0.113.7")
    for number in range(MAX_REMEMBERED + 2):
        one.of(str(number))
    assert one.of("203.0.113.7") == other.of("203.0.113.7")


@pytest.mark.parametrize("name", ["address", "user", "tenant"])
def test_quota_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be <amount>/<seconds>"):
        rates(**{name: "many"})
