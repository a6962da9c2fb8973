"""Generated requests by the thousand: no server error, no answer that the OpenAPI documents do not tell of."""

import itertools
import json
import os
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.contract.campaign import Figures, Plan, campaign
from tests.contract.documents import FOLDER
from tests.contract.neighbour import Neighbour, with_things
from tests.support import results
from tests.support.load import PASSWORD, PATIENCE
from tests.support.stack import Stack

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
BOTH = ("command", "query")
ENOUGH_FOR_ALL = 300
"""Seconds in which every operation of both has its turn; a shorter campaign may be cut before."""

Caller = Callable[..., Callable[[], str]]


def member(stack: Stack, tenant: str = "default") -> Callable[[], str]:
    """Registers somebody new at each call, so that nothing a campaign does to an account can stop it."""

    def sign_in() -> str:
        email = f"{uuid4().hex}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Somebody"}
        headers = {"Tenant": tenant}
        registered = httpx2.post(f"{stack.command_url}/v1/users", json=body, headers=headers, timeout=PATIENCE)
        assert registered.status_code == 201, registered.text
        return token(stack, email, tenant)

    return sign_in


def admin(stack: Stack, tenant: str = "default") -> Callable[[], str]:
    """The same with somebody who may do everything in their tenant."""

    def sign_in() -> str:
        email = f"{uuid4().hex}@example.com"
        words = ("users", "create-admin", "--tenant", tenant, "--email", email, "--password-stdin")
        created = stack.twinlog(*words, given=PASSWORD)
        assert created.returncode == 0, created.stderr
        return token(stack, email, tenant)

    return sign_in


def new_tenant(stack: Stack) -> tuple[str, Neighbour]:
    """A tenant for one campaign, whose administrators may close its registration and deny everybody everything.

    The neighbour is at home in `default`, with a resource, an event and a session.
    """
    tenant = f"n{uuid4().hex[:8]}"
    created = stack.twinlog("tenants", "create", tenant)
    assert created.returncode == 0, created.stderr
    return tenant, with_things(stack, member(stack)())


def token(stack: Stack, email: str, tenant: str) -> str:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    url, headers = f"{stack.command_url}/v1/token", {"Tenant": tenant}
    answer = httpx2.post(url, data=form, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def documented(api: str, stack: Stack) -> tuple[dict[str, Any], str]:
    """The committed document of an API, and where it answers."""
    document: dict[str, Any] = json.loads((FOLDER / f"{api}.openapi.json").read_bytes())
    return document, stack.command_url if api == "command" else stack.query_url


def operations(document: dict[str, Any]) -> set[str]:
    """All of them, named as a campaign names them."""
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item.keys() & METHODS}


def assert_nothing_found(figures: Figures) -> None:
    assert not figures.errors
    assert not figures.failures, "\n\n".join(f"{name}\n{said}" for name, said in figures.failures.items())
    assert figures.server_errors == 0
    assert not figures.leaks, "\n\n".join(f"{name}\n{said}" for name, said in figures.leaks.items())


@pytest.mark.asvs("V4.1.1", "V8.2.2", "V8.4.1")
@pytest.mark.parametrize(("api", "caller"), [("command", admin), ("query", member)])
def test_generated_requests_meet_documented_answers(stack: Stack, api: str, caller: Caller) -> None:
    plan = Plan(seed=1, examples=4, phases=("examples", "fuzzing", "stateful"))
    tenant, neighbour = new_tenant(stack)
    figures = campaign(*documented(api, stack), caller(stack, tenant), plan, neighbour)
    assert_nothing_found(figures)
    assert figures.operations == operations(documented(api, stack)[0])
    assert figures.requests >= 30
    assert figures.probes > 0


def test_answer_about_a_neighbour_would_be_found(stack: Stack) -> None:
    bearer, (document, url) = admin(stack)(), documented("query", stack)
    document["paths"] = {path: document["paths"][path] for path in ("/v1/me", "/v1/users/{user_id}")}
    plan = Plan(seed=1, examples=40, phases=("fuzzing",))
    figures = campaign(document, url, lambda: bearer, plan, with_things(stack, bearer))
    assert "GET /v1/me" in figures.leaks, "an answer that names them"
    assert "GET /v1/users/{user_id}" in figures.leaks, "an answer to a path that names them"


@pytest.mark.long
@pytest.mark.timeout(0)
def test_ten_minutes_of_generated_requests_meet_documented_answers(stack: Stack) -> None:
    """FUZZ_SECONDS and FUZZ_SEED choose another length and another beginning."""
    seconds, seed = int(os.environ.get("FUZZ_SECONDS", "600")), int(os.environ.get("FUZZ_SEED", str(time.time_ns())))
    total, rounds, end = Figures(), 0, time.monotonic() + seconds
    turns = itertools.cycle([("command", admin), ("query", member), ("command", member), ("query", admin)])
    while (left := end - time.monotonic()) > 0:
        api, caller = next(turns)
        tenant, neighbour = new_tenant(stack)
        plan = Plan(seed + rounds, examples=30, seconds=max(1, int(min(left, seconds / 8))))
        total.add_all(campaign(*documented(api, stack), caller(stack, tenant), plan, neighbour))
        rounds += 1
    write(seed, rounds, seconds, total)
    assert_nothing_found(total)
    if seconds >= ENOUGH_FOR_ALL:
        assert total.operations == set[str]().union(*(operations(documented(api, stack)[0]) for api in BOTH))


def write(seed: int, rounds: int, seconds: int, figures: Figures) -> None:
    """Keep what was found in docs/results."""
    kept = {
        "seed": seed,
        "rounds": rounds,
        "seconds": seconds,
        "requests": figures.requests,
        "operations": len(figures.operations),
        "statuses": dict(sorted(figures.statuses.items())),
        "checks": dict(sorted(figures.checks.items())),
        "excused": dict(sorted(figures.excused.items())),
        "server_errors": figures.server_errors,
        "undocumented_answers": figures.undocumented,
        "object_level_probes": figures.probes,
        "object_level_findings": len(figures.leaks),
        "failures": sorted(figures.failures),
    }
    results.write("fuzz", kept)
