"""The story's own memory of the asset register: what every resource must look like when it is read back."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from deploy.demo.inventory import Asset
from deploy.demo.visitor import Visitor

_AT_ONCE = 8
_COMPARED = ("name", "description", "attributes", "tags", "classification", "state", "version", "owner")


@dataclass
class Entry:
    """One resource as the commands' answers say it must be; `token` is its newest Consistency-Token."""

    id: str
    keeper: Visitor
    expected: dict[str, Any]
    token: str = ""

    def differs(self, seen: dict[str, Any]) -> list[str]:
        """The names of the fields that are not as expected."""
        return [name for name in _COMPARED if _comparable(seen.get(name)) != _comparable(self.expected[name])]


@dataclass
class Register:
    """All resources of the story by id, and the refusals met while writing them."""

    entries: dict[str, Entry] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    newest: tuple[int, str] = (0, "")
    """Position and Consistency-Token of the newest write."""

    async def record(self, assets: list[Asset], keepers: list[Visitor], advance: Callable[[], None]) -> None:
        """`POST /v1/resources` for every asset, a few at once, shared among the keepers."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, asset: Asset) -> None:
            async with gate:
                await self._create(asset, keepers[number % len(keepers)])
                advance()

        await asyncio.gather(*(one(number, asset) for number, asset in enumerate(assets)))

    async def _create(self, asset: Asset, keeper: Visitor) -> None:
        answer = await keeper.command("POST", "/v1/resources", asset.body(), {"Idempotency-Key": str(uuid4())})
        if answer.status_code != 201:
            self.failures.append(f"{asset.name}: {answer.status_code} {answer.text[:200]}")
            return
        made = answer.json()
        expected = asset.body() | {
            "classification": "internal",
            "state": "active",
            "version": made["version"],
            "owner": keeper.user_id,
        }
        self.keep(Entry(made["id"], keeper, expected, answer.headers["Consistency-Token"]), made["position"])

    def keep(self, entry: Entry, position: int) -> None:
        """Remember a resource as it is after the write at `position`."""
        self.entries[entry.id] = entry
        self.newest = max(self.newest, (position, entry.token))

    async def apply(self, entry: Entry, method: str, path: str, body: Any, becomes: dict[str, Any]) -> None:
        """Send a further command to a resource and remember what it must have become."""
        answer = await entry.keeper.command(method, f"/v1/resources/{entry.id}{path}", body)
        if answer.status_code != 200:
            self.failures.append(f"{entry.expected['name']}: {answer.status_code} {answer.text[:200]}")
            return
        entry.expected |= becomes | {"version": answer.json()["version"]}
        entry.token = answer.headers["Consistency-Token"]
        self.keep(entry, answer.json()["position"])

    async def differences(self, advance: Callable[[], None]) -> list[str]:
        """Read every resource back with its own token and name whatever is not as it must be."""
        found: list[str] = []
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(entry: Entry) -> None:
            async with gate:
                answer = await entry.keeper.question(f"/v1/resources/{entry.id}", token=entry.token)
                wrong = [f"status {answer.status_code}"] if answer.status_code != 200 else entry.differs(answer.json())
                found.extend(f"{entry.expected['name']}: {field}" for field in wrong)
                advance()

        await asyncio.gather(*(one(entry) for entry in self.entries.values()))
        return found


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value
