"""A policy that is added or removed counts on both services within a second, while others go on using them."""

import asyncio
import json
from uuid import uuid4

import httpx2

from tests.support.load import PASSWORD, Author, sign_up, under_load
from tests.support.stack import Stack

WITHIN = 1.0
CHANGES = 6
MEMBERS_READ_NO_SESSIONS = {"role": "member", "permission": "sessions:read-own", "effect": "deny"}


async def test_change_bites_at_both_services_within_a_second_under_load(stack: Stack) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        tenant = f"t{uuid4().hex[:12]}"
        admin, member = await people(stack, http, tenant)
        loaded = await sign_up(stack, http)
        async with under_load(stack, loaded) as history:
            for _ in range(CHANGES):
                policy = await add(http, stack, admin, MEMBERS_READ_NO_SESSIONS)
                await decided(http, stack, member, 403)
                await remove(http, stack, admin, policy)
                await decided(http, stack, member, 200)
        assert set(history.statuses) == {201}, "a neighbour tenant's work goes on"


async def test_command_api_decides_by_a_policy_as_soon_as_it_is_accepted(stack: Stack) -> None:
    async with httpx2.AsyncClient(timeout=10) as http:
        tenant = f"t{uuid4().hex[:12]}"
        admin, member = await people(stack, http, tenant)
        deny = {"role": "member", "permission": "resources:create", "effect": "deny"}
        for _ in range(CHANGES):
            policy = await add(http, stack, admin, deny)
            assert await create(http, stack, member) == {403}
            await remove(http, stack, admin, policy)
            assert await create(http, stack, member) == {201}


async def create(http: httpx2.AsyncClient, stack: Stack, who: Author) -> set[int]:
    """The answers to several commands at once."""
    path = f"{stack.command_url}/v1/resources"
    bodies = [{"name": f"by {uuid4()}"} for _ in range(5)]
    answers = await asyncio.gather(*(http.post(path, json=body, headers=who.headers) for body in bodies))
    return {answer.status_code for answer in answers}


async def decided(http: httpx2.AsyncClient, stack: Stack, who: Author, status: int) -> None:
    """Within a second the query API answers like this, and from then on never otherwise."""
    await asyncio.sleep(WITHIN)
    for _ in range(5):
        answer = await http.get(f"{stack.query_url}/v1/me/sessions", headers=who.headers)
        assert answer.status_code == status, answer.text


async def add(http: httpx2.AsyncClient, stack: Stack, admin: Author, rule: dict[str, str]) -> str:
    answer = await http.post(f"{stack.command_url}/v1/policies", json=rule, headers=admin.headers)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


async def remove(http: httpx2.AsyncClient, stack: Stack, admin: Author, policy: str) -> None:
    answer = await http.delete(f"{stack.command_url}/v1/policies/{policy}", headers=admin.headers)
    assert answer.is_success, answer.text


async def people(stack: Stack, http: httpx2.AsyncClient, tenant: str) -> tuple[Author, Author]:
    """An admin and a member of a new tenant."""
    assert stack.twinlog("tenants", "create", tenant).returncode == 0
    email = f"{uuid4().hex}@example.com"
    words = ("users", "create-admin", "--tenant", tenant, "--email", email, "--password-stdin", "--json")
    made = stack.twinlog(*words, given=PASSWORD)
    assert made.returncode == 0, made.stderr
    admin = Author(json.loads(made.stdout)["user_id"], await sign_in(stack, http, tenant, email), email)
    other = f"{uuid4().hex}@example.com"
    body = {"email": other, "password": PASSWORD, "name": "Ada"}
    registered = await http.post(f"{stack.command_url}/v1/users", json=body, headers={"Tenant": tenant})
    assert registered.status_code == 201, registered.text
    return admin, Author(registered.json()["id"], await sign_in(stack, http, tenant, other), other)


async def sign_in(stack: Stack, http: httpx2.AsyncClient, tenant: str, email: str) -> str:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    answer = await http.post(f"{stack.command_url}/v1/token", data=form, headers={"Tenant": tenant})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
