"""The map whose entries leave by themselves."""

from shared_kernel.privacy.expiring import ExpiringCache


class Hand:
    """A clock that is moved by hand."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def test_value_leaves_when_its_time_is_over() -> None:
    clock = Hand()
    cache: ExpiringCache[str, int] = ExpiringCache(5, 10, clock)
    cache.put("a", 1)
    clock.time = 4.99
    assert cache.get("a") == 1
    clock.time = 5
    assert cache.get("a") is None
    assert len(cache) == 0


def test_reading_does_not_prolong_a_life_but_putting_does() -> None:
    clock = Hand()
    cache: ExpiringCache[str, int] = ExpiringCache(5, 10, clock)
    cache.put("a", 1)
    clock.time = 4
    assert cache.get("a") == 1
    cache.put("a", 2)
    clock.time = 8
    assert cache.get("a") == 2


def test_oldest_leaves_when_there_are_too_many() -> None:
    cache: ExpiringCache[int, int] = ExpiringCache(5, 3, Hand())
    for number in range(5):
        cache.put(number, number)
    assert [cache.get(number) for number in range(5)] == [None, None, 2, 3, 4]


def test_value_that_was_put_anew_is_the_youngest() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(5, 2, Hand())
    for key in ("a", "b", "a", "c"):
        cache.put(key, 1)
    assert [cache.get(key) for key in ("a", "b", "c")] == [1, None, 1]


def test_dropped_value_is_gone() -> None:
    cache: ExpiringCache[str, int] = ExpiringCache(5, 3, Hand())
    cache.put("a", 1)
    cache.drop("a")
    cache.drop("a")
    assert cache.get("a") is None
