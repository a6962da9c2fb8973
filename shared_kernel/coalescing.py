"""Questions that are asked at the same time go out as one.

Whoever asks in one turn of the event loop shares one call; while as many calls as allowed are on their way, the next
questions gather. A question never joins a call that has already been sent: its answer may not know what the asker was
promised to see.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

AT_MOST = 256
"""Questions in one call."""
AT_ONCE = 2
"""Calls on their way; with a second one, a slow answer does not hold up everybody else."""


class Coalescer(Generic[Q, A]):
    """Ask with `ask`, within one event loop.

    `answer_all` is given questions and must give as many answers in the same order. It is never told who asks: what
    sets askers apart (tenant, user) is part of the question. When it fails, all who share the call hear the same.
    """

    def __init__(
        self,
        answer_all: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        at_most: int = AT_MOST,
        at_once: int = AT_ONCE,
    ) -> None:
        self._answer_all = answer_all
        self._at_most = at_most
        self._at_once = at_once
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._due = False

    async def ask(self, question: Q) -> A:
        """The answer to one question, or what `answer_all` raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if not self._due and len(self._calls) < self._at_once:
            self._due = True
            loop.call_soon(self._send)
        return await answer

    def _send(self) -> None:
        self._due = False
        while len(self._calls) < self._at_once and self._waiting:
            batch, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
            asked = [each for each in batch if not each[1].done()]  # some may have given up while they waited
            if asked:
                call = asyncio.create_task(self._answer(asked))
                self._calls.add(call)
                call.add_done_callback(self._ended)

    async def _answer(self, asked: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer_all([question for question, _ in asked])
            # All before the first is handed out: with one too few, nobody knows which answer is whose.
            for (_, future), answer in list(zip(asked, answers, strict=True)):
                if not future.done():
                    future.set_result(answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked must hear of it
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in asked:
                future.cancel()  # only those who have no answer: the call itself was cancelled

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._send()
