"""Questions asked at once share a call; nobody gets another one's answer, an old answer, or none at all."""

import asyncio
from collections.abc import Sequence

import pytest

from shared_kernel.coalescing import Coalescer


class Echoes:
    """Answers each question with itself, once `open` is set; keeps every call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def answer_all(self, questions: Sequence[str]) -> list[str]:
        self.calls.append(list(questions))
        await self.open.wait()
        return [f"answer to {question}" for question in questions]


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(8):
        await asyncio.sleep(0)


async def test_questions_of_one_turn_share_a_call_and_each_gets_its_own_answer() -> None:
    echoes = Echoes()
    coalescer = Coalescer(echoes.answer_all)
    asked = [f"question {number}" for number in range(100)]
    assert await asyncio.gather(*map(coalescer.ask, asked)) == [f"answer to {question}" for question in asked]
    assert echoes.calls == [asked]


async def test_a_question_never_joins_a_call_that_has_been_sent() -> None:
    echoes = Echoes()
    echoes.open.clear()
    coalescer = Coalescer(echoes.answer_all)
    first = asyncio.create_task(coalescer.ask("same"))
    await settled()
    second = asyncio.create_task(coalescer.ask("same"))
    await settled()
    assert echoes.calls == [["same"], ["same"]]
    echoes.open.set()
    assert await first == await second == "answer to same"


async def test_more_calls_than_allowed_are_never_on_their_way_and_the_next_questions_gather() -> None:
    echoes = Echoes()
    echoes.open.clear()
    coalescer = Coalescer(echoes.answer_all, at_once=1)
    asking = []
    for name in ("a", "b", "c"):
        asking.append(asyncio.create_task(coalescer.ask(name)))
        await settled()
    assert echoes.calls == [["a"]]
    echoes.open.set()
    assert await asyncio.gather(*asking) == ["answer to a", "answer to b", "answer to c"]
    assert echoes.calls == [["a"], ["b", "c"]]


async def test_a_call_holds_no_more_questions_than_allowed() -> None:
    echoes = Echoes()
    coalescer = Coalescer(echoes.answer_all, at_most=2)
    await asyncio.gather(*map(coalescer.ask, "abcde"))
    assert [len(call) for call in echoes.calls] == [2, 2, 1]


async def test_failure_is_heard_by_all_who_shared_the_call_and_by_nobody_after() -> None:
    failures = [OSError("away")]

    async def answer_all(questions: Sequence[int]) -> Sequence[int]:
        if failures:
            raise failures.pop()
        return questions

    coalescer = Coalescer(answer_all)
    assert [type(each) for each in await asyncio.gather(*map(coalescer.ask, (1, 2)), return_exceptions=True)] == [
        OSError,
        OSError,
    ]
    assert await coalescer.ask(3) == 3


async def test_one_who_gives_up_takes_nobody_along_and_is_not_asked_for() -> None:
    echoes = Echoes()
    echoes.open.clear()
    coalescer = Coalescer(echoes.answer_all, at_once=1)
    sent, gone, patient = (asyncio.create_task(coalescer.ask(name)) for name in ("sent", "gone", "patient"))
    await settled()
    late = asyncio.create_task(coalescer.ask("late"))
    await settled()
    gone.cancel()
    late.cancel()
    echoes.open.set()
    assert await sent == "answer to sent"
    assert await patient == "answer to patient"
    await settled()
    assert echoes.calls == [["sent", "gone", "patient"]]


async def test_too_few_answers_are_nobodys_answers() -> None:
    async def answer_all(questions: Sequence[int]) -> Sequence[int]:
        return questions[1:]

    coalescer = Coalescer(answer_all)
    found = await asyncio.gather(*map(coalescer.ask, range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [ValueError] * 3


async def test_a_call_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def answer_all(questions: Sequence[int]) -> Sequence[int]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Coalescer(answer_all).ask(1)
