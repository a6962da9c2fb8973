"""Somebody who is made an administrator, loses it, and goes on asking with the token they have."""

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.load import PASSWORD
from tests.support.stack import Stack

ROLE = "admin"
SIGNS_IN_AFTER = 200.0
"""Seconds; whoever changes roles must have signed in within the last 300."""


@dataclass(slots=True)
class Deputy:
    """Takes another token only with `renew`."""

    http: httpx2.AsyncClient
    url: str
    tenant: str
    email: str = field(default_factory=lambda: f"{uuid4().hex}@example.com")
    user_id: str = ""
    _token: dict[str, Any] = field(default_factory=dict)
    _since: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token['access_token']}"}

    async def renew(self) -> None:
        """By the refresh token, as any client does; or by another sign-in, when the last one no longer proves much."""
        if time.monotonic() - self._since > SIGNS_IN_AFTER:
            await self._sign_in()
        else:
            form = {"grant_type": "refresh_token", "refresh_token": self._token["refresh_token"]}
            self._token = await self._asked_for(form)

    async def _sign_in(self) -> None:
        form = {"grant_type": "password", "username": self.email, "password": PASSWORD}
        self._token, self._since = await self._asked_for(form), time.monotonic()

    async def _asked_for(self, form: dict[str, str]) -> dict[str, Any]:
        answer = await self.http.post(f"{self.url}/v1/token", data=form, headers={"Tenant": self.tenant})
        assert answer.status_code == 200, answer.text
        token: dict[str, Any] = answer.json()
        return token

    async def register(self) -> None:
        body = {"email": self.email, "password": PASSWORD, "name": "Deputy"}
        answer = await self.http.post(f"{self.url}/v1/users", json=body, headers={"Tenant": self.tenant})
        assert answer.status_code == 201, answer.text
        self.user_id = answer.json()["id"]
        await self._sign_in()


async def deputy_in(stack: Stack, http: httpx2.AsyncClient, tenant: str) -> Deputy:
    deputy = Deputy(http, stack.command_url, tenant)
    await deputy.register()
    return deputy
