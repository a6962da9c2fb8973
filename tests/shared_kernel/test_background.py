"""Background tasks end when they are told to, even where a cancellation gets lost."""

import asyncio

import pytest

from shared_kernel import background, process


async def deaf(times: int) -> None:
    """Loses the first cancellations, as a wait that ends at the same moment does."""
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(60)


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_ends_even_if_it_loses_cancellations(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN", 0.01)
    task = asyncio.create_task(deaf(times))
    await asyncio.sleep(0)
    await background.end(task)
    assert task.cancelled()


async def test_what_has_ended_or_never_began_needs_no_end() -> None:
    await background.end(None)
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    await background.end(done)
    assert not done.cancelled()


async def broken() -> None:
    await asyncio.sleep(0)
    raise ValueError


async def test_a_task_that_fails_has_ended_too() -> None:
    task = asyncio.create_task(broken())
    await asyncio.sleep(0.01)
    await background.end(task)
    assert isinstance(task.exception(), ValueError)


async def test_several_tasks_end_together_each_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN", 0.01)
    listening, lost, failing = (asyncio.create_task(work) for work in (deaf(0), deaf(2), broken()))
    await asyncio.sleep(0.01)
    await background.end(listening, None, lost, failing)
    assert listening.cancelled()
    assert lost.cancelled()
    assert isinstance(failing.exception(), ValueError)


async def answer(number: int, ended: list[int]) -> int:
    try:
        await asyncio.sleep(0.01)
    finally:
        ended.append(number)
    return number


async def test_several_things_at_once_answer_in_their_order() -> None:
    assert await background.together([answer(number, []) for number in range(3)]) == [0, 1, 2]


async def test_first_error_is_raised_as_it_is_once_all_have_ended() -> None:
    ended: list[int] = []
    with pytest.raises(ValueError):  # noqa: PT011 - the test's own, and it says nothing
        await background.together([answer(1, ended), broken()])
    assert ended == [1]


async def test_process_whose_work_has_failed_ends_even_if_its_probes_lose_a_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "SERVING_ENDS", 0.01)
    stop = asyncio.Event()
    with pytest.raises(ValueError, match=r"^$"):
        await asyncio.wait_for(process.work_and_serve(broken(), deaf(2), stop), 30)
    assert stop.is_set()


async def test_task_that_needs_its_time_to_end_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN", 0.01)
    told = 0

    async def careful() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.sleep(0.2 if told else 60)
            except asyncio.CancelledError:
                told += 1
            else:
                return

    task = asyncio.create_task(careful())
    await asyncio.sleep(0)
    await background.end(task, again=30)
    assert told == 1
