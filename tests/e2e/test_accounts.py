"""Accounts change on one side and show on the other, within a second."""

import asyncio
from uuid import uuid4

import httpx2
from jose import jwt

from tests.e2e.test_ended_sessions import frozen
from tests.support.aftermath import until_ready
from tests.support.load import PASSWORD, Author, sign_up
from tests.support.stack import Stack
from tests.support.waiting import eventually

WITHIN = 1.0


async def signed_in(http: httpx2.AsyncClient, stack: Stack, email: str, tenant: str, password: str = PASSWORD) -> str:
    form = {"grant_type": "password", "username": email, "password": password}
    answer = await http.post(f"{stack.command_url}/v1/token", data=form, headers={"Tenant": tenant})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_suspended_user_is_out_at_both_services_within_a_second_and_shown_to_administrators(stack: Stack) -> None:
    await until_ready(stack)
    email = f"admin-{uuid4().hex[:8]}@example.com"
    made = stack.twinlog("users", "create-admin", "--email", email, "--password-stdin", given=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    async with httpx2.AsyncClient(timeout=10) as http:
        ada: Author = await sign_up(stack, http)
        admin = await signed_in(http, stack, email, "default")
        user = jwt.get_unverified_claims(ada.token)["sub"]
        path = f"{stack.command_url}/v1/users/{user}/suspension"
        suspended = await http.put(path, json={"reason": "left the company"}, headers=bearer(admin))
        assert suspended.status_code == 200, suspended.text
        await asyncio.sleep(WITHIN)
        assert (await http.get(f"{stack.query_url}/v1/me", headers=ada.headers)).status_code == 401
        assert (await http.patch(f"{stack.command_url}/v1/me", json={}, headers=ada.headers)).status_code == 401
        seen = {**bearer(admin), "Consistency-Token": suspended.headers["Consistency-Token"]}
        shown = (await http.get(f"{stack.query_url}/v1/users/{user}", headers=seen)).json()
        assert (shown["state"], shown["suspension_reason"]) == ("suspended", "left the company")
        reinstated = await http.delete(path, headers=bearer(admin))
        assert reinstated.status_code == 200
        seen["Consistency-Token"] = reinstated.headers["Consistency-Token"]
        shown = (await http.get(f"{stack.query_url}/v1/users/{user}", headers=seen)).json()
        assert (shown["state"], shown["suspension_reason"]) == ("active", None)


async def test_tenant_made_for_invited_people_lets_in_one_for_each_code(stack: Stack) -> None:
    await until_ready(stack)
    tenant, email = f"t-{uuid4().hex[:8]}", f"admin-{uuid4().hex[:8]}@example.com"
    assert stack.twinlog("tenants", "create", tenant, "--invitation-only").returncode == 0
    words = ("users", "create-admin", "--tenant", tenant, "--email", email, "--password-stdin")
    assert stack.twinlog(*words, given=PASSWORD + "\n").returncode == 0
    async with httpx2.AsyncClient(timeout=10, headers={"Tenant": tenant}) as http:
        admin = await signed_in(http, stack, email, tenant)
        issued = await http.post(f"{stack.command_url}/v1/invitations", json={}, headers=bearer(admin))
        body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
        statuses = []
        for change in (
            {},
            {"invitation": issued.json()["code"]},
            {"invitation": issued.json()["code"], "email": "b@x.de"},
        ):
            answer = await http.post(f"{stack.command_url}/v1/users", json={**body, **change})
            statuses.append((answer.status_code, answer.json().get("code")))
        assert statuses == [(403, "invitation-needed"), (201, None), (403, "invitation-not-accepted")]


async def test_guesses_are_refused_and_their_user_reads_of_it(stack: Stack) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        email = f"ada-{uuid4().hex[:8]}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Ada"}
        user = (await http.post(f"{stack.command_url}/v1/users", json=body)).json()["id"]
        token = await signed_in(http, stack, email, "default")
        form = {"grant_type": "password", "username": email, "password": "not-the-one"}
        answers = [await http.post(f"{stack.command_url}/v1/token", data=form) for _ in range(40)]
        statuses = [answer.status_code for answer in answers]  # one more every ten seconds may be let in
        assert (statuses[:30], set(statuses)) == ([400] * 30, {400, 429})
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["RateLimit-Policy"].startswith('"sign-in";q=30;w=300')

        async def told() -> bool:
            question = {"stream": f"alerts-{user}"}
            found = await http.get(f"{stack.query_url}/v1/events", params=question, headers=bearer(token))
            return [each["type"] for each in found.json()["items"]] == ["accounts.SignInsThrottled.v1"]

        await eventually(told, "the user's own audit to tell of it")


async def test_while_redis_is_silent_commands_go_on_and_signing_in_waits_for_it(stack: Stack) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        ada: Author = await sign_up(stack, http)
        form = {"grant_type": "password", "username": "nobody@example.com", "password": PASSWORD}

        async def signing_in() -> int:
            return (await http.post(f"{stack.command_url}/v1/token", data=form)).status_code

        with frozen(stack, "valkey"):
            for number in range(5):
                body = {"name": f"without Redis {number}"}
                made = await http.post(f"{stack.command_url}/v1/resources", json=body, headers=ada.headers)
                assert made.status_code == 201, made.text
            assert [await signing_in() for _ in range(3)] == [503] * 3
            assert (await http.get(f"{stack.query_url}/v1/resources", headers=ada.headers)).status_code == 200

        async def counted_again() -> bool:
            return await signing_in() == 400

        await eventually(counted_again, "sign-in to be counted again")
    await until_ready(stack)
