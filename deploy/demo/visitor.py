"""A person with an HTTP client: signs in, sends commands, asks questions, keeps the time of each."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx2


@dataclass
class Timings:
    """Seconds per kind of request, for the summary."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, kind: str, started: float) -> None:
        self.seconds[kind].append(time.perf_counter() - started)

    def milliseconds(self, kind: str, share: float) -> float:
        """The given quantile (0..1) in milliseconds, one decimal; 0.0 when nothing of this kind was sent."""
        values = sorted(self.seconds[kind])
        return round(values[min(len(values) - 1, int(share * len(values)))] * 1000, 1) if values else 0.0


@dataclass
class Visitor:
    """One signed-in (or anonymous) caller of both services."""

    name: str
    http: httpx2.AsyncClient
    command_url: str
    query_url: str
    timings: Timings
    token: str | None = None
    user_id: str | None = None
    consistency: str | None = None

    async def register(self, tenant: str, email: str, password: str) -> httpx2.Response:
        """`POST /v1/users`; remembers the id of the new account."""
        body = {"email": email, "password": password, "name": self.name}
        answer = await self.http.post(f"{self.command_url}/v1/users", json=body, headers={"Tenant": tenant})
        if answer.status_code == 201:
            self.user_id = answer.json()["id"]
        return answer

    async def sign_in(self, tenant: str, email: str, password: str) -> httpx2.Response:
        """`POST /v1/token` with the password grant; remembers the access token."""
        form = {"grant_type": "password", "username": email, "password": password}
        answer = await self.http.post(f"{self.command_url}/v1/token", data=form, headers={"Tenant": tenant})
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    async def command(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """A command to the command API; the Consistency-Token of its answer goes along with the next question."""
        started = time.perf_counter()
        sent = self._headers(headers)
        if method == "PATCH":
            sent["Content-Type"] = "application/merge-patch+json"
        answer = await self.http.request(method, f"{self.command_url}{path}", json=body, headers=sent)
        self.timings.note("command", started)
        self.consistency = answer.headers.get("Consistency-Token", self.consistency)
        return answer

    async def question(
        self, path: str, params: dict[str, Any] | None = None, token: str | None = None
    ) -> httpx2.Response:
        """A question to the query API; with a Consistency-Token it waits for what that token promises."""
        started = time.perf_counter()
        extra = {"Consistency-Token": token, "Prefer": "wait=10"} if token else {}
        url = path if path.startswith("http") else f"{self.query_url}{path}"
        answer = await self.http.get(url, params=params, headers=self._headers(extra))
        self.timings.note("question", started)
        return answer

    def _headers(self, extra: dict[str, str] | None) -> dict[str, str]:
        signed_in = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return signed_in | (extra or {})
