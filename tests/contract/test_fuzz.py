"""Generated requests by the thousand: no server error, no answer that the OpenAPI documents do not tell of."""

import itertools
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.contract.campaign import Figures, Plan, campaign
from tests.contract.documents import FOLDER
from tests.support.load import PASSWORD
from tests.support.processes import ROOT
from tests.support.stack import Stack

RESULT = ROOT / "docs" / "results" / "fuzz.json"

Caller = Callable[[Stack], Callable[[], str]]


def member(stack: Stack) -> Callable[[], str]:
    """Registers somebody new at each call, so that nothing a campaign does to an account can stop it."""

    def sign_in() -> str:
        email = f"{uuid4().hex}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Somebody"}
        assert httpx2.post(f"{stack.command_url}/v1/users", json=body).status_code == 201
        return token(stack, email)

    return sign_in


def admin(stack: Stack) -> Callable[[], str]:
    """The same with somebody who may do everything."""

    def sign_in() -> str:
        email = f"{uuid4().hex}@example.com"
        created = stack.twinlog("users", "create-admin", "--email", email, "--password-stdin", given=PASSWORD)
        assert created.returncode == 0, created.stderr
        return token(stack, email)

    return sign_in


def token(stack: Stack, email: str) -> str:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    answer = httpx2.post(f"{stack.command_url}/v1/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def documented(api: str, stack: Stack) -> tuple[dict[str, Any], str]:
    """The committed document of an API, and where it answers."""
    document: dict[str, Any] = json.loads((FOLDER / f"{api}.openapi.json").read_bytes())
    return document, stack.command_url if api == "command" else stack.query_url


def assert_nothing_found(figures: Figures) -> None:
    assert not figures.errors
    assert not figures.failures, "\n\n".join(f"{name}\n{said}" for name, said in figures.failures.items())
    assert figures.server_errors == 0


@pytest.mark.parametrize(("api", "caller"), [("command", admin), ("query", member)])
def test_generated_requests_meet_documented_answers(stack: Stack, api: str, caller: Caller) -> None:
    plan = Plan(seed=1, examples=4, phases=("examples", "fuzzing", "stateful"))
    figures = campaign(*documented(api, stack), caller(stack), plan)
    assert_nothing_found(figures)
    assert figures.requests >= 30


@pytest.mark.long
@pytest.mark.timeout(0)
def test_ten_minutes_of_generated_requests_meet_documented_answers(stack: Stack) -> None:
    """FUZZ_SECONDS and FUZZ_SEED choose another length and another beginning."""
    seconds, seed = int(os.environ.get("FUZZ_SECONDS", "600")), int(os.environ.get("FUZZ_SEED", str(time.time_ns())))
    total, rounds, end = Figures(), 0, time.monotonic() + seconds
    turns = itertools.cycle([("command", admin), ("query", member), ("command", member), ("query", admin)])
    while (left := end - time.monotonic()) > 0:
        api, caller = next(turns)
        plan = Plan(seed + rounds, examples=30, seconds=max(1, int(min(left, seconds / 4))))
        total.add_all(campaign(*documented(api, stack), caller(stack), plan))
        rounds += 1
    write(seed, rounds, seconds, total)
    assert_nothing_found(total)


def write(seed: int, rounds: int, seconds: int, figures: Figures) -> None:
    """Keep what was found in docs/results."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    kept = {
        "seed": seed,
        "commit": commit.stdout.strip(),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "rounds": rounds,
        "seconds": seconds,
        "requests": figures.requests,
        "operations": len(figures.operations),
        "statuses": dict(sorted(figures.statuses.items())),
        "checks": dict(sorted(figures.checks.items())),
        "excused": dict(sorted(figures.excused.items())),
        "server_errors": figures.server_errors,
        "undocumented_answers": figures.undocumented,
        "failures": sorted(figures.failures),
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
