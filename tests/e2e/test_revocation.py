"""A second after a session has ended its tokens are of no use at any worker, although Redis remembers nothing."""

import os
import time
from typing import Any

import pytest

from tests.e2e.revocation import WAYS, WITHIN, Findings, campaign
from tests.support import results
from tests.support.aftermath import until_ready
from tests.support.stack import Stack
from tests.support.workers import two_of_each

MOST = 5
"""Sessions that one person may have."""


def assert_none_counted(findings: Findings) -> None:
    assert not findings.accepted, findings.accepted[:20]
    assert set(findings.revoked) == set(WAYS)
    assert findings.latest < WITHIN
    assert findings.uses["command: refused"] > 0
    assert findings.uses["query: refused"] > 0
    assert findings.flushes > 1
    assert findings.bystander["command: accepted"] > 0, "nobody was let in at all"
    assert findings.bystander["query: accepted"] > 0, "nobody was let in at all"


@pytest.mark.asvs("V7.4.1", "V7.4.2", "V7.4.3")
@pytest.mark.timeout(300)
async def test_revoked_tokens_are_of_no_use_while_redis_is_emptied(stack: Stack) -> None:
    await until_ready(stack)
    async with two_of_each(stack) as workers:
        findings = await campaign(stack, workers, tokens=1, sessions=2)
    await until_ready(stack)
    assert_none_counted(findings)


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_none_of_two_hundred_revoked_tokens_is_of_use_while_redis_is_emptied(stack: Stack) -> None:
    """REVOKED_TOKENS chooses another number."""
    tokens = int(os.environ.get("REVOKED_TOKENS", "200"))
    await until_ready(stack)
    async with two_of_each(stack) as workers:
        begun = time.monotonic()
        findings = await campaign(stack, workers, tokens, MOST)
        results.write("revocation", figures(findings, time.monotonic() - begun))
    await until_ready(stack)
    assert_none_counted(findings)


def figures(findings: Findings, seconds: float) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "workers": {"command": 2, "query": 2},
        "revoked_tokens": findings.revoked.total(),
        "revoked_by_way": dict(sorted(findings.revoked.items())),
        "flushes": findings.flushes,
        "tries_after_a_second": findings.uses.total(),
        "answers_after_a_second": dict(sorted(findings.uses.items())),
        "uses_after_a_second": len(findings.accepted),
        "latest_use_seconds": round(findings.latest, 3),
        "answers_to_a_session_that_goes_on": dict(sorted(findings.bystander.items())),
    }
