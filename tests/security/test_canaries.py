"""What is secret or personal goes through every route of a running pair, and no log, metric or problem repeats it."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.contract.documents import FOLDER
from tests.contract.test_fuzz import admin
from tests.features.sessions.test_second_factor import Factor
from tests.security.canaries import Attempt, Canaries, attempts
from tests.security.matrix import all_of
from tests.support.stack import Stack, running_stack

PROBES = ("command_url", "query_url", "relay_url", "projector_url")
LOGS = ("command", "relay", "query", "projector", "postgres", "valkey")


async def send(
    http: httpx2.AsyncClient, url: str, attempt: Attempt, callers: Sequence[Mapping[str, str]], told: Counter[str]
) -> None:
    """Send it as each caller, and keep whatever is answered that is no success."""
    for caller in callers[: 1 if "Authorization" in attempt.headers else None]:
        headers = {**caller, **attempt.headers}
        answer = await http.request(attempt.method, url + attempt.path, content=attempt.content, headers=headers)
        assert answer.status_code != 500, answer.text
        if answer.is_error:
            told[f"{attempt.route}: {answer.text} {dict(answer.headers)}"] += 1


async def live(http: httpx2.AsyncClient, url: str, canaries: Canaries) -> list[str]:
    """A person with a canary for everything goes through all that is done with secrets; those that were issued."""
    values = canaries.values
    form = {"grant_type": "password", "username": values["e-mail"], "password": values["password"]}
    body = {"email": values["e-mail"], "password": values["password"], "name": values["name"]}
    made = await http.post(f"{url}/v1/users", json=body)
    assert made.status_code == 201, made.text
    again = await http.post(f"{url}/v1/users", json=body)
    token = await issued(http, url, form)
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    enrolled = (await http.post(f"{url}/v1/me/totp", headers=headers)).json()
    factor = Factor(enrolled["secret"])
    activated = await http.put(f"{url}/v1/me/totp", json={"otp": factor.code()}, headers=headers)
    codes = activated.json()["recovery_codes"]
    stepped_up = await http.post(f"{url}/v1/step-up", json={"otp": codes[0]}, headers=headers)
    repeated = await http.post(f"{url}/v1/step-up", json={"otp": codes[0]}, headers=headers)
    assert (stepped_up.status_code, repeated.status_code, again.status_code) == (200, 403, 409)
    second = await issued(http, url, {**form, "otp": codes[1]})
    third = await issued(http, url, {"grant_type": "refresh_token", "refresh_token": second["refresh_token"]})
    change = {"current_password": values["password"], "new_password": f"{values['password']}-again"}
    assert (await http.put(f"{url}/v1/me/password", json=change, headers=headers)).status_code == 200
    await http.post(f"{url}/v1/token/revoke", data={"token": third["refresh_token"]})
    tokens = [each[name] for each in (token, second, third) for name in ("access_token", "refresh_token")]
    return [*tokens, *codes, enrolled["secret"], stepped_up.json()["access_token"]]


async def issued(http: httpx2.AsyncClient, url: str, form: Mapping[str, str]) -> dict[str, str]:
    answer = await http.post(f"{url}/v1/token", data=form)
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def campaign(stack: Stack) -> tuple[Canaries, dict[str, str], set[str]]:
    """What was said where, the routes that were asked, and what nobody may have said."""
    canaries, told, routes = Canaries(), Counter[str](), set[str]()
    callers: Sequence[Mapping[str, str]] = ({}, {"Authorization": f"Bearer {await asyncio.to_thread(admin(stack))}"})
    async with httpx2.AsyncClient(timeout=20) as http:
        secrets = await live(http, stack.command_url, canaries)
        for service, url in (("command", stack.command_url), ("query", stack.query_url)):
            document: dict[str, Any] = json.loads((FOLDER / f"{service}.openapi.json").read_bytes())
            asked = list(attempts(document, canaries))
            routes |= {attempt.route for attempt in asked}
            await all_of(partial(send, http, url, attempt, callers, told) for attempt in asked)
            assert routes >= {
                f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
            }
        places = {f"metrics of {name}": (await http.get(f"{getattr(stack, name)}/metrics")).text for name in PROBES}
    places |= {f"log of {name}": stack.log(name) for name in LOGS} | {"problems": "\n".join(told)}
    return canaries, places, {canaries.mark, *(secret.lower() for secret in secrets)}


def assert_nothing_repeated(places: Mapping[str, str], secrets: set[str]) -> None:
    for place, text in places.items():
        lines = [line for line in text.lower().splitlines() if any(secret in line for secret in secrets)]
        assert not lines, f"{place}: {lines[0][:600]} and {len(lines) - 1} more"
    assert "problems/validation-failed" in places["problems"]
    assert all("twinlog_" in places[f"metrics of {name}"] for name in PROBES)
    assert all('"event"' in places[f"log of {name}"] for name in LOGS[:4])


@pytest.mark.asvs("V14.2.4", "V16.2.5")
async def test_no_log_metric_or_problem_repeats_what_went_through_a_route(stack: Stack) -> None:
    _, places, secrets = await campaign(stack)
    assert_nothing_repeated(places, secrets)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_not_even_at_the_level_debug() -> None:
    with running_stack({"TWINLOG_LOG_LEVEL": "debug"}) as stack:
        _, places, secrets = await campaign(stack)
    assert '"level":"debug"' in places["log of command"].replace(" ", "")
    assert_nothing_repeated(places, secrets)
