"""Relays, projectors, Redis and PostgreSQL die at random under load: nothing is lost, repeated, or merely similar."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2
import pytest

from shared_kernel.events.envelope import StoredRow
from tests.chaos.household import Household, Strike, household
from tests.support import results
from tests.support.aftermath import (
    CHANGED,
    CREATED,
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_audit_copy,
    read_log,
    until_ready,
)
from tests.support.load import Author, History, sign_up, under_load
from tests.support.stack import Stack, running_stack
from tests.support.waiting import eventually

BEFORE, AFTER = 50, 50
"""Commands that are acknowledged before and after each strike."""

AT_A_STRETCH = 20
"""Rounds under one sign-in; a token lives for ten minutes."""

LONGEST_LULL = 1.0
WRONG = ("audit_copy_differences", "rows_unlike_a_fresh_replay", "completeness_findings", "repeated_effects")
CHECKS_WITHIN = 600.0


@dataclass
class Campaign:
    """What was struck, and what the clients were told meanwhile."""

    strikes: list[Strike] = field(default_factory=list)
    histories: list[tuple[Author, History]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def acknowledged(self) -> int:
        return sum(len(history.acknowledged) for _, history in self.histories)


async def stretch(stack: Stack, house: Household, rounds: int, chance: Random, campaign: Campaign) -> None:
    """Some rounds in a row; at their end everything that was struck is back, and everything acknowledged visible."""
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=20) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author, changing=True) as history:
        strikes = [await one_round(house, history, chance) for _ in range(rounds)]
    campaign.strikes += strikes
    campaign.histories.append((author, history))
    last = {strike.victim: strike for strike in strikes}
    for strike in last.values():
        await house.back(strike)
    await assert_read_model_equals(history, stack, author)


async def one_round(house: Household, history: History, chance: Random) -> Strike:
    """Strike at a random moment while requests are in flight."""
    await history.reach(len(history.acknowledged) + BEFORE)
    await asyncio.sleep(chance.uniform(0, LONGEST_LULL))
    victim = house.choose(chance)
    await eventually(lambda: history.in_flight, "a request in flight")
    strike = await house.strike(victim, len(history.in_flight))
    await history.reach(len(history.acknowledged) + AFTER)
    return strike


async def chaos(stack: Stack, rounds: int, seed: int) -> Campaign:
    """As many rounds as asked for."""
    print(f"CHAOS_SEED={seed}")  # noqa: T201 - who reads of a failure must be able to repeat it
    chance, campaign, begun = Random(seed), Campaign(), time.monotonic()  # noqa: S311 - no secret is made of it
    async with household(stack) as house:
        while (left := rounds - len(campaign.strikes)) > 0:
            await stretch(stack, house, min(left, AT_A_STRETCH), chance, campaign)
    campaign.seconds = time.monotonic() - begun
    return campaign


def told(stack: Stack, *words: str) -> Any:
    """What a `twinlog` command answers to machines; it must find everything well."""
    done = stack.twinlog(*words, "--json", seconds=CHECKS_WITHIN)
    assert done.returncode == 0, f"twinlog {' '.join(words)}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout)


async def compare(stack: Stack, campaign: Campaign) -> dict[str, Any]:
    """Log, audit copy and read models against what they would be without chaos; fails with what is different."""
    await until_ready(stack)
    rows = read_log(stack)
    assert_log_is_sound(rows)
    for _, history in campaign.histories:
        assert_log_equals(history, rows)
    copied = read_audit_copy(stack)
    replayed = told(stack, "projections", "rebuild", "--all")
    compared = told(stack, "projections", "diff", "--all")["projections"]
    found = {
        "log_events": len(rows),
        "replayed_events": replayed["events"],
        "compared_rows": {name: each["rows"] for name, each in compared.items()},
        "audit_copy_differences": len(set(copied) ^ set(rows)) + abs(len(copied) - len(rows)),
        "rows_unlike_a_fresh_replay": sum(differences(each) for each in compared.values()),
        "completeness_findings": len(told(stack, "projections", "verify", "--all")["findings"]),
        "repeated_effects": sum(count - 1 for count in effects(rows).values()),
    }
    assert all(found[name] == 0 for name in WRONG), found
    return found


def differences(compared: dict[str, int]) -> int:
    return compared["missing"] + compared["unexpected"] + compared["different"]


def effects(rows: Sequence[StoredRow]) -> Counter[str]:
    """How often each command of the load has taken effect in the log."""
    names = (json.loads(row.payload).get("name") or "" for row in rows if row.topic in {CREATED, CHANGED})
    return Counter(name for name in names if name.startswith("load "))


def chosen_seed() -> int:
    """CHAOS_SEED, or another one each time."""
    return int(os.environ.get("CHAOS_SEED") or time.time_ns())


def counted(strikes: Sequence[Strike]) -> dict[str, int]:
    return dict(sorted(Counter(strike.victim for strike in strikes).items()))


async def test_random_deaths_leave_no_trace(stack: Stack) -> None:
    campaign = await chaos(stack, rounds=3, seed=chosen_seed())
    await compare(stack, campaign)
    assert sum(history.changes for _, history in campaign.histories) > BEFORE, (
        "several events of one stream were under way"
    )
    assert all(strike.in_flight for strike in campaign.strikes)


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_a_hundred_random_deaths_leave_no_trace() -> None:
    """CHAOS_ROUNDS and CHAOS_SEED choose another number and another beginning."""
    rounds, seed = int(os.environ.get("CHAOS_ROUNDS", "100")), chosen_seed()
    with running_stack() as stack:
        campaign = await chaos(stack, rounds, seed)
        found = await compare(stack, campaign)
    assert all(strike.in_flight for strike in campaign.strikes)
    figures = {
        "seed": seed,
        "rounds": len(campaign.strikes),
        "seconds": round(campaign.seconds, 1),
        "strikes": counted(campaign.strikes),
        "processes_killed": sum(strike.pid > 0 for strike in campaign.strikes),
        "acknowledged": campaign.acknowledged,
        "answers": dict(sorted(sum((history.statuses for _, history in campaign.histories), Counter()).items())),
        "changes": sum(history.changes for _, history in campaign.histories),
        "repeated_requests": sum(history.repeated for _, history in campaign.histories),
        **found,
    }
    results.write("chaos", figures)
