"""Whatever is killed, cut or full: what was acknowledged is there once and in order, all else whole or absent."""

import functools
import itertools
import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.infrastructure.event_store.harms import HARMS, Harm
from tests.infrastructure.event_store.ledger import Verdict, examine, mark_of
from tests.infrastructure.event_store.racing import OURS
from tests.infrastructure.event_store.scene import Follower, Scene, scene_of
from tests.support import results

SEED = 20_261_123
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "200"))
BEFORE, AFTER = 50, 50

WRONG_LEAVES = """
SELECT count(*) AS wrong FROM events WHERE leaf_hash <> leaf_hash_v1(
    position, tenant, tenant_seq, stream, version, topic, payload_format, event_id, recorded_at, metadata, payload)
"""


async def play(scene: Scene, harm: Harm) -> tuple[dict[str, Any], Verdict]:
    """One round: enough appends before, the harm while some are under way, enough after, everything compared."""
    crowd, follower = scene.crowd, scene.follower
    first, read, before = len(crowd.attempts), len(follower.seen), crowd.acknowledged
    crowd.gate.set()
    await crowd.reach(before + BEFORE)
    proof = await harm(scene)
    after = crowd.acknowledged
    await crowd.reach(after + AFTER)
    await crowd.pause()
    await crowd.until(functools.partial(has_arrived, follower, head(scene)), "the reader to arrive")
    kept = {"in_flight": scene.in_flight, "before": after - before, "after": crowd.acknowledged - after, **proof}
    return kept, examine(crowd.attempts[first:], follower.seen[read:])


def head(scene: Scene) -> int:
    with psycopg.connect(scene.server_url) as connection:
        row = connection.execute("SELECT max(position) AS head FROM events").fetchone()
    return row[0] if row else 0


def has_arrived(follower: Follower, position: int) -> bool:
    return follower.last >= position


def assert_counts(kept: dict[str, Any]) -> None:
    """A round is one only if something was under way, enough was said before and after, and the harm was done."""
    assert kept["in_flight"] > 0
    assert kept["before"] >= BEFORE
    assert kept["after"] >= AFTER
    assert kept.get("struck", 1) > 0
    if "pids" in kept:
        assert 0 not in kept["pids"]
        assert kept["pids"][0] != kept["pids"][1]


def whole_log(scene: Scene) -> list[tuple[int, int]]:
    """Read from the beginning by somebody who was not there; every leaf hash is as its bytes make it."""
    with psycopg.connect(scene.server_url) as connection:
        assert connection.execute(WRONG_LEAVES).fetchone() == (0,)
        query = OURS.replace("LIMIT 10000", "")
        return [(row[0], mark_of(row[1])) for row in connection.execute(query.encode(), (scene.follower.start,))]


@pytest.mark.asvs("V2.3.3")
@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_each_harm_once_loses_repeats_and_tears_nothing(tmp_path: Path) -> None:
    async with scene_of(tmp_path, SEED) as scene:
        for name, harm in HARMS.items():
            kept, verdict = await play(scene, harm)
            assert_counts(kept)
            assert verdict.broken == {}, name
        assert examine(scene.crowd.attempts, whole_log(scene)).broken == {}
        assert sum(scene.crowd.told_by_key.values()) > 0, "some clients heard of their fate from their key"


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_two_hundred_rounds_lose_repeat_and_tear_nothing(tmp_path: Path) -> None:
    """CRASH_ROUNDS chooses another number of rounds."""
    began = time.monotonic()
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in HARMS}
    async with scene_of(tmp_path, SEED) as scene:
        for name, harm in itertools.islice(itertools.cycle(HARMS.items()), ROUNDS):
            kept, verdict = await play(scene, harm)
            assert_counts(kept)
            assert verdict.broken == {}, name
            rounds[name].append(kept)
        verdict = examine(scene.crowd.attempts, whole_log(scene))
        results.write("crash", figures(scene, rounds, verdict, time.monotonic() - began))
    assert verdict.broken == {}


def figures(scene: Scene, rounds: dict[str, list[dict[str, Any]]], verdict: Verdict, seconds: float) -> dict[str, Any]:
    crowd, played = scene.crowd, [kept for each in rounds.values() for kept in each]
    return {
        "seed": SEED,
        "rounds": len(played),
        "rounds_by_harm": {name: len(each) for name, each in rounds.items()},
        "least_in_a_round": {name: min(kept[name] for kept in played) for name in ("in_flight", "before", "after")},
        "seconds": round(seconds, 1),
        "appends_acknowledged": crowd.acknowledged,
        "events_acknowledged": verdict.acknowledged,
        "events_in_the_log": verdict.seen,
        "appends_told_by_key": crowd.told_by_key,
        "lost": verdict.lost,
        "repeated": verdict.repeated,
        "torn": verdict.torn,
        "out_of_order": verdict.out_of_order,
    }
