"""Rules and a role change all the time, and no worker of either service decides by none, or by old ones."""

import os
import time
from typing import Any

import pytest

from tests.e2e.deputy import ROLE
from tests.e2e.policy_reload import COMES_AND_GOES, WITHIN, Change, Findings, campaign
from tests.support import results
from tests.support.aftermath import until_ready
from tests.support.stack import Stack
from tests.support.workers import two_of_each

AT_LEAST = 6.0
"""Seconds; in fewer it may happen that nothing stays as it is for longer than a change may take to be heard."""


def assert_nothing_wrong(findings: Findings, decisions: int) -> None:
    assert not findings.wrong, findings.wrong[:20]
    assert findings.decisions.total() >= decisions
    assert findings.settled > 0, "any rule of the last second was right each time"
    assert set(findings.undecided) <= {503}, "whoever does not know lets nobody in"
    assert set(findings.changes) == {*COMES_AND_GOES, ROLE}
    assert findings.latest <= WITHIN


@pytest.mark.asvs("V8.2.1")
@pytest.mark.timeout(300)
async def test_no_decision_is_wrong_while_rules_change(stack: Stack) -> None:
    await until_ready(stack)
    async with two_of_each(stack) as workers:
        findings = await campaign(stack, workers, 400, seed=1, seconds=AT_LEAST)
    assert_nothing_wrong(findings, 400)
    assert len(findings.decisions) == 10


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_none_of_ten_thousand_decisions_is_wrong_while_rules_change(stack: Stack) -> None:
    """POLICY_DECISIONS and POLICY_SEED choose another number and another order."""
    decisions, seed = (
        int(os.environ.get("POLICY_DECISIONS", "10000")),
        int(os.environ.get("POLICY_SEED", time.time_ns())),
    )
    await until_ready(stack)
    async with two_of_each(stack) as workers:
        begun = time.monotonic()
        findings = await campaign(stack, workers, decisions, seed, seconds=AT_LEAST)
        results.write("policy-reload", figures(findings, seed, time.monotonic() - begun))
    assert_nothing_wrong(findings, decisions)


def figures(findings: Findings, seed: int, seconds: float) -> dict[str, Any]:
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "workers": {"command": 2, "query": 2},
        "decisions": findings.decisions.total(),
        "decisions_by_kind": dict(sorted(findings.decisions.items())),
        "decisions_that_could_be_right_in_one_way": findings.settled,
        "undecided_answers": dict(findings.undecided),
        "policies_put_in_force": findings.reloads,
        "roles_changed": len(findings.changes[ROLE]),
        "latest_decision_by_older_rules_seconds": round(findings.latest, 3),
        "wrong_decisions": len(findings.wrong),
    }


@pytest.mark.parametrize(
    ("allowed", "asked", "right"),
    [(True, 5.0, True), (True, 10.9, True), (True, 11.3, False), (False, 9.0, False), (False, 10.0, True)],
)
def test_decision_by_older_rules_counts_as_right_for_a_second(allowed: bool, asked: float, right: bool) -> None:
    findings = Findings(changes={"resources:read": [Change(allowed=False, sent=10.0, known=10.2)]})
    assert findings._could_be("resources:read", allowed, asked, asked + 0.05) is right
