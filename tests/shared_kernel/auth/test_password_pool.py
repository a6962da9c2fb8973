"""The threads that hash passwords: only so many, known by name, and no place in the queue is lost or won."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
from argon2 import extract_parameters

from shared_kernel.auth import passwords as module
from shared_kernel.auth.passwords import Passwords
from shared_kernel.errors import ServiceUnavailable
from tests.support.waiting import eventually


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    pool = Passwords()
    yield pool
    pool.close()


class Work:
    """Goes on until it may end; knows who did it and how many did at once."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.threads: list[str] = []
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.append(threading.current_thread().name)
        assert self.may_end.wait(10)
        with self._lock:
            self.running -= 1


async def started(work: Work, how_many: int) -> None:
    await eventually(lambda: work.running == how_many, "the work to begin", seconds=10)


@pytest.mark.parametrize(("workers", "most"), [(None, 2), (1, 1), (3, 3)])
async def test_only_so_many_are_hashed_at_a_time(workers: int | None, most: int) -> None:
    passwords, work = Passwords() if workers is None else Passwords(workers), Work()
    all_of_them = asyncio.gather(*(passwords._in_pool(work) for _ in range(6)))
    await started(work, most)
    await asyncio.sleep(0.05)
    work.may_end.set()
    await all_of_them
    passwords.close()
    assert work.most == most
    assert all(name.startswith("argon2_") for name in work.threads)


async def test_closing_waits_for_what_is_being_done_and_begins_nothing_more() -> None:
    passwords, work = Passwords(workers=1), Work()
    first, second = (asyncio.ensure_future(passwords._in_pool(work)) for _ in range(2))
    await started(work, 1)
    threading.Timer(0.05, work.may_end.set).start()
    passwords.close()
    assert (work.running, len(work.threads)) == (0, 1)
    await first
    with pytest.raises((asyncio.CancelledError, CancelledError)):
        await second


async def test_places_in_the_queue_are_neither_lost_nor_won(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    for _ in range(5):
        await passwords._in_pool(lambda: None)
    work = Work()
    waiting = [asyncio.ensure_future(passwords._in_pool(work)) for _ in range(2)]
    await started(work, 2)
    with pytest.raises(ServiceUnavailable) as refused:
        await passwords._in_pool(work)
    work.may_end.set()
    await asyncio.gather(*waiting)
    assert refused.value.detail == "Too many people are signing in at this moment; try again shortly."


async def test_salt_has_16_bytes_and_the_hash_32(passwords: Passwords) -> None:
    parameters = extract_parameters(await passwords.hash("correct horse battery staple"))
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
