"""What is secret, personal or hostile goes through every route of a running pair: no log, metric or problem repeats it,
and nothing obeys it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.contract.documents import FOLDER
from tests.contract.test_fuzz import admin
from tests.features.sessions.test_second_factor import Factor
from tests.security.canaries import CALCULATED, FORGED, Attempt, Canaries, attempts
from tests.security.matrix import all_of
from tests.support.aftermath import until_ready
from tests.support.stack import Stack, running_stack
from tests.support.waiting import eventually

PROBES = ("command_url", "query_url", "relay_url", "projector_url")
LOGS = ("command", "relay", "query", "projector", "postgres", "valkey")


async def send(
    http: httpx2.AsyncClient, url: str, attempt: Attempt, caller: Mapping[str, str], told: Counter[str]
) -> None:
    """Keep whatever is answered that is no success; nothing that was sent is carried out as code."""
    headers = {**caller, **attempt.headers}
    answer = await http.request(attempt.method, url + attempt.path, content=attempt.content, headers=headers)
    assert answer.status_code < 500, answer.text
    assert "json" in answer.headers.get("Content-Type", "json"), attempt
    assert FORGED not in str(answer.headers), attempt
    assert CALCULATED not in answer.text, attempt
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
    activated = await http.put(f"{url}/v1/me/totp", json={"otp": await factor.code()}, headers=headers)
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


async def campaign(stack: Stack) -> tuple[dict[str, str], set[str]]:
    """What was said where, and what nobody may have said."""
    canaries, told = Canaries(), Counter[str]()
    every = [canaries.values["token"], canaries.values["e-mail"], *canaries.hostile.values()]
    mayor = {"Authorization": f"Bearer {await asyncio.to_thread(admin(stack))}"}
    async with httpx2.AsyncClient(timeout=20) as http:
        secrets = await live(http, stack.command_url, canaries)
        for service, url in (("command", stack.command_url), ("query", stack.query_url)):
            document: dict[str, Any] = json.loads((FOLDER / f"{service}.openapi.json").read_bytes())
            for caller, values in ((mayor, every), ({}, every[:1])):
                asked = [partial(send, http, url, attempt, caller, told) for attempt in attempts(document, values)]
                await all_of(asked)
        await put_right(http, stack, mayor)
        places = {f"metrics of {name}": (await http.get(f"{getattr(stack, name)}/metrics")).text for name in PROBES}
    places |= {f"log of {name}": stack.log(name) for name in LOGS} | {"problems": "\n".join(told)}
    return places, {canaries.mark, *(secret.lower() for secret in secrets)}


async def put_right(http: httpx2.AsyncClient, stack: Stack, mayor: Mapping[str, str]) -> None:
    """The stack is not ours alone: a rebuild that was asked for, or paused, must not go on."""
    url, body = f"{stack.command_url}/v1/projections/resources/cancel", {"reason": "asked for by a test"}
    cancelled = await http.post(url, json=body, headers=mayor)
    assert cancelled.status_code in {200, 409}, cancelled.text

    async def is_over() -> bool:
        answer = await http.get(f"{stack.query_url}/v1/projections", headers=mayor)
        (found,) = [each for each in answer.json()["items"] if each["name"] == "resources"]
        return found["rebuild"] is None or found["rebuild"]["state"] in {"switched", "cancelled"}

    await eventually(is_over, "the rebuild to be over", 60)
    await until_ready(stack)


def assert_nothing_repeated(places: Mapping[str, str], secrets: set[str]) -> None:
    for place, text in places.items():
        lines = [line for line in text.lower().splitlines() if any(secret in line for secret in secrets)]
        assert not lines, f"{place}: {lines[0][:600]} and {len(lines) - 1} more"
    assert "problems/validation-failed" in places["problems"]
    assert all("twinlog_" in places[f"metrics of {name}"] for name in PROBES)
    for name in LOGS[:4]:
        events = {json.loads(line)["event"] for line in places[f"log of {name}"].splitlines()}
        assert events
        assert FORGED not in events


@pytest.mark.asvs("V1.2.1", "V1.2.4", "V14.2.4", "V16.2.5", "V16.4.1")
@pytest.mark.timeout(300)
async def test_no_log_metric_or_problem_repeats_what_went_through_a_route(stack: Stack) -> None:
    await until_ready(stack)
    places, secrets = await campaign(stack)
    assert_nothing_repeated(places, secrets)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_not_even_at_the_level_debug() -> None:
    with running_stack({"TWINLOG_LOG_LEVEL": "debug"}) as stack:
        places, secrets = await campaign(stack)
    assert '"level":"debug"' in places["log of command"].replace(" ", "")
    assert_nothing_repeated(places, secrets)
