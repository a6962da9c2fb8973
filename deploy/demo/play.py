"""Plays the whole story against a running pair and sums it up."""

import time
from typing import Any

import httpx2
from rich.console import Console
from rich.table import Table

from deploy.demo import chapters, identity
from deploy.demo.cast import assemble
from deploy.demo.inventory import assets
from deploy.demo.operator import Operator
from deploy.demo.story import Story
from deploy.demo.visitor import Timings, Visitor

_TIMEOUT_SECONDS = 30


async def play(command_url: str, query_url: str, operator: Operator, console: Console) -> dict[str, Any]:
    """The summary: `ok`, the broken promises, and figures. Raises OperatorCommandFailed, httpx2.HTTPError."""
    started = time.perf_counter()
    story = Story(console, Timings())
    async with httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
        stranger = Visitor("A stranger", http, command_url, query_url, story.timings)
        cast = await assemble(story, operator, stranger)
        register = await chapters.keep_the_inventory(story, cast, assets())
        await chapters.live_with_it(story, register)
        await chapters.read_it_back(story, cast, register)
        await chapters.look_at_history(story, cast, register)
        await chapters.meet_refusals(story, cast, register)
        await chapters.replay_the_log(story, cast, register, operator)
        await identity.protect_an_account(story, cast)
    story.figures |= _figures(story, time.perf_counter() - started)
    return _summary(story)


def _figures(story: Story, seconds: float) -> dict[str, Any]:
    timings = story.timings
    figures: dict[str, Any] = {"seconds": round(seconds, 1)}
    for kind in ("command", "question"):
        figures[f"{kind}s"] = len(timings.seconds[kind])
        figures[f"{kind} p50 ms"] = timings.milliseconds(kind, 0.5)
        figures[f"{kind} p99 ms"] = timings.milliseconds(kind, 0.99)
    return figures


def _summary(story: Story) -> dict[str, Any]:
    broken = story.broken()
    story.chapter("In short")
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in story.figures.items():
        table.add_row(name, str(value))
    story.console.print(table)
    held = len(story.checks) - len(broken)
    colour = "red" if broken else "green"
    story.console.print(f"\n  [{colour}]{held} of {len(story.checks)} promises held.[/{colour}]")
    return {
        "ok": not broken,
        "promises": len(story.checks),
        "broken": [{"promise": check.promise, "seen": check.seen} for check in broken],
        "figures": story.figures,
    }
