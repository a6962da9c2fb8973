"""The log of two tenants with one of everything in every state, and what of it every question can be about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

from shared_kernel.events.access import RoleGranted
from shared_kernel.events.accounts import UserSuspended
from shared_kernel.events.contract import Event
from shared_kernel.events.policies import PolicyAdded, PolicyRemoved
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.events.sessions import SessionEnded, SessionStarted
from tests.security.matrix import CLASSIFICATIONS, ENDED, STATES, Cast, Credentials
from tests.security.oracle import HOME, NEXT_DOOR, Caller, Thing
from tests.support.query_side import Person, QuerySide

TENANTS = (HOME, NEXT_DOOR)


@dataclass(slots=True)
class Records:
    """`things` are by the parameter of a path that names one of them."""

    side: QuerySide
    cast: Cast
    credentials: Credentials
    things: dict[str, list[Thing]] = field(default_factory=dict)
    sessions: list[Thing] = field(default_factory=list)

    def about(self, route: str, caller: Caller) -> Sequence[Thing | None]:
        """What a question may be about: what its path can name, or the caller."""
        for parameter, things in self.things.items():
            if f"{{{parameter}}}" in route:
                return things
        if route != "GET /v1/me":
            return (None,)
        has_account = (caller.user, caller.tenant) != (self.cast.ada, NEXT_DOOR)
        return (Thing("", caller.user, tenant=caller.tenant, exists=has_account),)

    def listed_at(self, route: str) -> Sequence[Thing]:
        """What a list may hold."""
        lists: Mapping[str, Sequence[Thing]] = {
            "GET /v1/me/sessions": self.sessions,
            "GET /v1/users": self.things["user_id"],
            "GET /v1/policies": self.things["policy_id"],
            "GET /v1/resources": self.things["resource_id"],
            "GET /v1/events": self.things["position"],
        }
        return lists.get(route, ())

    def keep(self, kind: str, name: UUID, owner: UUID | None, tenant: str, **further: Any) -> None:
        """Remember a thing that the log has told of; `further` is its state, its classification, whether it exists."""
        owned = None if owner is None else str(owner)
        kept = Thing(str(name), owned, tenant=tenant, **further)
        (self.sessions if kind == "session_id" else self.things.setdefault(kind, [])).append(kept)

    async def tell(self, stream: str, event: Event, tenant: str, owner: UUID | None) -> None:
        """Write an event that concerns `owner`; it is a thing itself."""
        position = await self.side.log.append(stream, event, tenant=tenant, at=datetime.now(UTC))
        self.keep_event(position, owner, tenant)

    def keep_event(self, position: int, owner: UUID | None, tenant: str) -> None:
        events = self.things.setdefault("position", [])
        events.append(Thing(str(position), None if owner is None else str(owner), tenant=tenant))


async def written(side: QuerySide) -> Records:
    ada, bob, eve, sid = (uuid4() for _ in range(4))
    session = uuid4()
    records = Records(side, Cast(str(ada), str(eve), str(session)), Credentials(side.signer))
    for tenant in TENANTS:
        records.keep_event(await side.create_tenant(tenant), None, tenant)
    for user, tenant in ((ada, HOME), (bob, HOME), (sid, HOME), (eve, NEXT_DOOR)):
        await _account(records, user, tenant, suspended=user == sid)
    for owner, state, classification in product((ada, bob), STATES, CLASSIFICATIONS):
        await _resource(records, owner, HOME, state, classification)
    await _resource(records, eve, NEXT_DOOR, "active", "public")
    for started, user, tenant, ended in (
        (session, ada, HOME, False),
        (uuid4(), ada, HOME, True),
        (uuid4(), bob, HOME, False),
        (uuid4(), eve, NEXT_DOOR, False),
    ):
        await _session(records, started, user, tenant, ended=ended)
    for tenant, removed in ((HOME, False), (HOME, True), (NEXT_DOOR, False)):
        await _policy(records, tenant, removed=removed)
    for kind in ("user_id", "resource_id", "policy_id"):
        records.keep(kind, uuid4(), ada, HOME, exists=False)
    records.things["position"].append(Thing("4711", str(ada), exists=False))
    records.credentials.given[ENDED] = _token_of_ended(side, records, ada)
    await side.catch_up()
    await side.services.denials.refresh()
    return records


def _token_of_ended(side: QuerySide, records: Records, user: UUID) -> str:
    """A genuine token of a session that has ended."""
    [ended] = [each.name for each in records.sessions if not each.exists]
    caller = Caller(ENDED, str(user), HOME, ("member", "admin"), ended)
    return Credentials(side.signer).of(caller)["Authorization"].removeprefix("Bearer ")


async def _account(records: Records, user: UUID, tenant: str, *, suspended: bool) -> None:
    name = f"Name of {user}"
    position = await records.side.register(Person(user, tenant), name, f"{user}@example.org")
    records.keep_event(position, user, tenant)
    records.keep("user_id", user, user, tenant, state="suspended" if suspended else "active")
    await records.tell(f"roles-{user}", RoleGranted(user_id=user, role="operator"), tenant, user)
    if suspended:
        await records.tell(f"users-{user}", UserSuspended(user_id=user, reason="because"), tenant, user)


async def _resource(records: Records, owner: UUID, tenant: str, state: str, classification: str) -> None:
    made = await records.side.create(Person(owner, tenant), classification=classification)
    records.keep_event(records.side.log.head, owner, tenant)
    records.keep("resource_id", made, owner, tenant, state=state, classification=classification)
    if state == "archived":
        await records.tell(f"resources-{made}", ResourceArchived(resource_id=made), tenant, owner)


async def _session(records: Records, session: UUID, user: UUID, tenant: str, *, ended: bool) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(hours=1)
    started = SessionStarted(
        session_id=session, user_id=user, methods=("pwd",), expires_at=until, started_at=now, device="Firefox on Linux"
    )
    await records.tell(f"sessions-{session}", started, tenant, user)
    records.keep("session_id", session, user, tenant, exists=not ended)
    if ended:
        over = SessionEnded(session_id=session, user_id=user, reason="signed-out", ended_at=now)
        await records.tell(f"sessions-{session}", over, tenant, user)


async def _policy(records: Records, tenant: str, *, removed: bool) -> None:
    """One that changes nothing for anybody."""
    policy = uuid4()
    words = {"role": "admin", "permission": "resources:create", "condition": "any", "effect": "allow"}
    await records.tell(f"policies-{policy}", PolicyAdded(policy_id=policy, **words), tenant, None)
    records.keep("policy_id", policy, None, tenant, exists=not removed)
    if removed:
        await records.tell(f"policies-{policy}", PolicyRemoved(policy_id=policy), tenant, None)
