"""kill -9 of each of the six processes under load: nothing acknowledged is lost, nothing is done twice."""

import os
import random
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.support import results
from tests.support.killing import VICTIMS, Kill, kill_under_load
from tests.support.stack import Stack


@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_killed_process_loses_and_repeats_nothing(stack: Stack, victim: str) -> None:
    await kill_under_load(stack, victim)


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_round_after_round_of_kills_loses_and_repeats_nothing(stack: Stack) -> None:
    """KILL_ROUNDS and KILL_SEED choose another length and another order of victims."""
    rounds, seed = int(os.environ.get("KILL_ROUNDS", "20")), int(os.environ.get("KILL_SEED", str(time.time_ns())))
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    kills = [await kill_under_load(stack, chance.choice(VICTIMS)) for _ in range(rounds)]
    results.write("kills", figures(seed, kills))


def figures(seed: int, kills: Sequence[Kill]) -> dict[str, object]:
    """Whoever gets here has lost and repeated nothing: each round has compared history, log and read model."""
    return {
        "seed": seed,
        "rounds": len(kills),
        "victims": dict(sorted(Counter(kill.victim for kill in kills).items())),
        "acknowledged": sum(kill.acknowledged for kill in kills),
        "sent_again": sum(kill.repeated for kill in kills),
        "lost": 0,
        "doubled": 0,
        "back_after_seconds": {"longest": round(max((kill.back_after for kill in kills), default=0.0), 2)},
    }
