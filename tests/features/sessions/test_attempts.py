"""Guessing is slow, tells nothing, and locks nobody out who guesses nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from command_service.features.accounts.handlers.credentials import Credentials
from shared_kernel.auth.passwords import Passwords
from tests.command_service.test_readiness import close
from tests.features.sessions.test_refresh import signed_in
from tests.support.cluster import Cluster, Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, Person, command_side_of
from tests.support.waiting import eventually

DAY = 86_400
WRONG = "not-the-one"
NARROW = {"rate_sign_in": f"4/{DAY}", "rate_account": f"6/{DAY}", "rate_proof": f"5/{DAY}"}
AWAY = "redis://127.0.0.1:9/0"

Boot = Callable[..., AbstractAsyncContextManager[CommandSide]]


class CountingPasswords(Passwords):
    """Real passwords that count how often one was compared."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[str | None] = []

    async def verify(self, stored: str | None, password: str) -> bool:
        self.compared.append(stored)
        return await super().verify(stored, password)


@pytest.fixture
def boot(command_database: Database, vault_database: Vault, redis_url: str) -> Boot:
    @asynccontextmanager
    async def booted(passwords: Passwords | None = None, **settings: Any) -> AsyncIterator[CommandSide]:
        given = {"redis_url": redis_url, "trusted_proxies": "127.0.0.1", **settings}
        async with command_side_of(command_database, vault_database, given, passwords=passwords) as side:
            yield side

    return booted


async def tried(side: CommandSide, email: str, password: str = WRONG, network: int = 1) -> httpx2.Response:
    form = {"grant_type": "password", "username": email, "password": password}
    return await side.sign_in(form, **{"X-Forwarded-For": f"203.0.{network}.7"})


@pytest.mark.asvs("V6.3.1")
async def test_after_too_many_wrong_passwords_none_is_looked_at(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, **NARROW) as side:
        ada = await side.register()
        answers = [await tried(side, ada.email) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [400] * 4 + [429] * 3
        refused = answers[-1]
        assert refused.json()["error"] == "temporarily_unavailable"
        assert int(refused.headers["Retry-After"]) > 1
        assert refused.headers["RateLimit-Policy"].startswith('"sign-in";q=4;')
        assert (await tried(side, ada.email, PASSWORD)).status_code == 429
    assert len(passwords.compared) == 4


@pytest.mark.asvs("V6.3.1")
async def test_stranger_who_guesses_does_not_lock_the_user_out(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        ada = await side.register()
        for _ in range(6):
            await tried(side, ada.email, network=66)
        assert (await tried(side, ada.email, PASSWORD, network=1)).status_code == 200


async def test_crowd_that_guesses_from_many_networks_is_stopped_too(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        ada = await side.register()
        answers = [await tried(side, ada.email, network=number) for number in range(8)]
        assert [answer.status_code for answer in answers] == [400] * 6 + [429] * 2
        assert answers[-1].headers["RateLimit-Policy"].startswith('"account";q=6;')


@pytest.mark.asvs("V6.3.1")
async def test_stolen_passwords_that_are_tried_once_each_use_up_their_network(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, rate_network=f"5/{DAY}") as side:
        answers = [await tried(side, f"p{number}@example.com") for number in range(8)]
        assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 3
        assert answers[-1].headers["RateLimit-Policy"].startswith('"network";q=5;')
        assert (await tried(side, "p9@example.com", network=2)).status_code == 400
    assert len(passwords.compared) == 6


async def test_right_passwords_use_nothing_up(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        ada = await side.register()
        for _ in range(3):
            assert [(await tried(side, ada.email)).status_code for _ in range(1)] == [400]
        assert [(await tried(side, ada.email, PASSWORD)).status_code for _ in range(8)] == [200] * 8


async def test_thousand_sign_ins_at_once_are_refused_without_an_error(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, rate_sign_in=f"30/{DAY}") as side:
        ada = await side.register()
        form = {"grant_type": "password", "username": ada.email, "password": WRONG}
        async with AsyncExitStack() as stack:  # one client alone takes longer to look for a connection than to ask
            clients = [httpx2.AsyncClient(base_url=side.http.base_url, timeout=100) for _ in range(20)]
            crowd = [await stack.enter_async_context(client) for client in clients]
            answers = await asyncio.gather(*(crowd[n % 20].post("/v1/token", data=form) for n in range(1_000)))
        found = [answer.status_code for answer in answers]
        assert (found.count(400), found.count(429)) == (30, 970)
    assert len(passwords.compared) == 30


async def test_known_and_unknown_addresses_are_answered_by_the_same_bytes_and_the_same_work(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, **NARROW) as side:
        ada, bob = await side.register(), await side.register("Bob")
        admin = await side.register("Adm", roles=("member", "admin"))
        await side.send("PUT", f"/v1/users/{bob.id}/suspension", {"reason": "left"}, by=admin)
        seen = []
        for address in (ada.email, bob.email, f"nobody-{uuid4().hex[:8]}@example.com", "no address at all"):
            before = len(passwords.compared)
            answers = [await tried(side, address) for _ in range(6)]
            work = len(passwords.compared) - before
            seen.append(([(answer.status_code, answer.content) for answer in answers], work))
        assert seen[1:] == seen[:-1]
        assert seen[0][1] == 4


async def test_vault_is_asked_as_often_about_known_and_unknown_addresses_and_its_absence_tells_nothing(
    boot: Boot, vault_database: Vault, cluster: Cluster
) -> None:
    async with boot() as side:
        ada = await side.register()
        seen = []
        for _ in range(2):
            for address in (ada.email, "nobody@example.com"):
                before = questions(side)
                assert (await tried(side, address)).status_code == 400
                seen.append(questions(side) - before)
        assert seen == [1] * 4
        close(cluster, vault_database.name)
        known, unknown = await tried(side, ada.email), await tried(side, "nobody@example.com")
        assert (known.status_code, known.content) == (503, unknown.content)
        assert unknown.status_code == 503


def questions(side: CommandSide) -> int:
    """How often the vault has been asked."""
    return side.services.vault_pool.get_stats()["requests_num"]


async def test_suspended_user_costs_a_comparison_with_the_right_password_too(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords) as side:
        bob = await side.register("Bob")
        admin = await side.register("Adm", roles=("member", "admin"))
        await side.send("PUT", f"/v1/users/{bob.id}/suspension", {"reason": "left"}, by=admin)
        assert (await tried(side, bob.email, PASSWORD)).status_code == 400
    (compared,) = passwords.compared
    assert compared is not None


async def test_user_hears_in_the_audit_that_sign_ins_were_refused(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        ada = await side.register()
        for _ in range(9):
            await tried(side, ada.email)
        await tried(side, "nobody@example.com")
        stream = f"alerts-{ada.id}"

        async def told() -> bool:
            return bool(await side.rows("SELECT topic FROM events WHERE stream = %s", stream))

        await eventually(told, "an event about refused sign-ins")
        found = await side.rows("SELECT topic, stream FROM events WHERE topic LIKE '%%Throttled%%'")
        assert [(row["stream"], row["topic"]) for row in found] == [(stream, "accounts.SignInsThrottled.v1")]


async def test_unknown_addresses_are_told_to_nobody(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        answers = [await tried(side, "nobody@example.com") for _ in range(6)]
        assert answers[-1].status_code == 429
        await eventually(lambda: not side.services.credentials._telling, "whoever was to be told")
        assert await side.rows("SELECT topic FROM events WHERE topic LIKE '%%Throttled%%'") == []


@pytest.mark.asvs("V6.3.1", "V6.3.4")
async def test_passwords_are_no_easier_to_guess_with_a_session(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, **NARROW) as side:
        ada = await side.register()
        change = {"current_password": "not-the-one", "new_password": "summer-heron-reads-maps"}
        answers = [await side.send("PUT", "/v1/me/password", change, by=ada) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [403] * 4 + [429] * 2
        assert answers[-1].json()["code"] == "rate-limited"
        right = {**change, "current_password": PASSWORD}
        assert (await side.send("PUT", "/v1/me/password", right, by=ada)).status_code == 429
    assert len(passwords.compared) == 4


async def test_step_up_by_password_shares_the_quota_of_its_user(boot: Boot) -> None:
    async with boot(**NARROW) as side:
        ada = await side.register()
        access = (await signed_in(side, ada))["access_token"]
        answers = [
            await side.send("POST", "/v1/step-up", {"password": "not-the-one"}, Authorization=f"Bearer {access}")
            for _ in range(6)
        ]
        assert [answer.status_code for answer in answers] == [403] * 4 + [429] * 2


@pytest.mark.asvs("V16.5.2")
async def test_what_can_be_guessed_is_refused_while_redis_is_away(boot: Boot) -> None:
    passwords = CountingPasswords()
    async with boot(passwords, redis_url=AWAY) as side:
        ada = await side.register()
        for address in (ada.email, "nobody@example.com"):
            refused = await tried(side, address, PASSWORD)
            assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
            assert refused.headers["Retry-After"] == "1"
        change = {"current_password": PASSWORD, "new_password": "summer-heron-reads-maps"}
        answer = await side.send("PUT", "/v1/me/password", change, by=ada)
        assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
        totp = await side.send("PUT", "/v1/me/totp", {"otp": "123456"}, by=ada)
        assert (totp.status_code, totp.json()["code"]) == (503, "service-unavailable")
    assert passwords.compared == []


async def test_closing_waits_for_nobody_who_is_being_told(command_side: CommandSide) -> None:
    credentials: Credentials = command_side.services.credentials
    ada: Person = await command_side.register()
    for _ in range(31):
        await command_side.sign_in({"grant_type": "password", "username": ada.email, "password": "not-the-one"})
    await credentials.close()
