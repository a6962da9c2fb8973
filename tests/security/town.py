"""A tenant of the command side with one of everything in every state, Ada's and Bob's, and a tenant next door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any
from uuid import uuid4

from jose import jwt

from tests.security.matrix import CLASSIFICATIONS, ENDED, STATES, SUSPENDED, Cast, Credentials
from tests.security.oracle import HOME, NEXT_DOOR, Caller, Thing
from tests.support.command_side import PASSWORD, CommandSide, Person

WHY = {"reason": "because"}
ALREADY_A_RIGHT = {"role": "admin", "permission": "resources:create"}
"""A policy that changes nothing for anybody."""
OF_AN_ACCOUNT = frozenset({"PATCH /v1/me", "POST /v1/me/totp"})
"""Where a token alone is not enough: users of other issuers have none."""


@dataclass(frozen=True, slots=True)
class Town:
    """`things` are by the parameter of a path that names one of them."""

    side: CommandSide
    cast: Cast
    credentials: Credentials
    things: Mapping[str, Sequence[Thing]]

    def about(self, route: str, caller: Caller) -> Sequence[Thing | None]:
        """What a request may be about: what its path can name, or the caller."""
        for parameter, things in self.things.items():
            if f"{{{parameter}}}" in route:
                shared = parameter == "name"  # read models serve every tenant
                return [replace(thing, tenant=caller.tenant) for thing in things] if shared else things
        if "/v1/me" not in route and "sessions" not in route:
            return (None,)
        has_account = (caller.user, caller.tenant) != (self.cast.ada, NEXT_DOOR)
        return (Thing("", caller.user, tenant=caller.tenant, exists=has_account or route not in OF_AN_ACCOUNT),)

    async def length(self) -> int:
        """How many events the log has."""
        [row] = await self.side.rows("SELECT max(position) AS head FROM events")
        return int(row["head"])


async def settled(side: CommandSide) -> Town:
    await side.create_tenant(NEXT_DOOR)
    ada, bob, eve = [await side.register(name, tenant=tenant) for name, tenant in _people()]
    root, sid, gone = [await side.register(name, roles=("member", "admin")) for name in ("Root", "Sid", "Gone")]
    given = {SUSPENDED: await _token(side, sid), ENDED: await _token(side, gone)}
    await _done(side, "PUT", f"/v1/users/{sid.id}/suspension", WHY, root)
    await _done(side, "DELETE", f"/v1/sessions/{_session(given[ENDED])}", None, gone)
    unknown = Thing(str(uuid4()), exists=False)
    things = {
        "resource_id": [await _resource(side, *each) for each in product((ada, bob), STATES, CLASSIFICATIONS)],
        "session_id": [await _signed_in(side, *each) for each in product((ada, bob), (False, True))],
        "user_id": [Thing(str(each.id), str(each.id)) for each in (ada, bob, sid)],
        "invitation_id": await _two(side, "/v1/invitations", {}, root),
        "policy_id": await _two(side, "/v1/policies", ALREADY_A_RIGHT, root),
    }
    named = {parameter: [*found, unknown] for parameter, found in things.items()}
    named["name"] = [Thing("resources"), Thing("nothing", exists=False)]
    cast = Cast(str(ada.id), str(eve.id), named["session_id"][0].name)
    return Town(side, cast, Credentials(side.services.signer, given), named)


def _people() -> tuple[tuple[str, str], ...]:
    return ("Ada", HOME), ("Bob", HOME), ("Eve", NEXT_DOOR)


async def _done(side: CommandSide, method: str, path: str, body: Any, by: Person) -> dict[str, Any]:
    answer = await side.send(method, path, body, by=by)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _token(side: CommandSide, person: Person) -> str:
    form = {"grant_type": "password", "username": person.email, "password": PASSWORD}
    answer = await side.sign_in(form, Tenant=person.tenant)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def _session(token: str) -> str:
    return str(jwt.get_unverified_claims(token)["sid"])


async def _signed_in(side: CommandSide, person: Person, ended: bool) -> Thing:
    session = _session(await _token(side, person))
    if ended:
        await _done(side, "DELETE", f"/v1/sessions/{session}", None, person)
    return Thing(session, str(person.id), "ended" if ended else "active")


async def _resource(side: CommandSide, owner: Person, state: str, classification: str) -> Thing:
    path = await side.create_resource(owner, classification=classification)
    if state == "archived":
        await _done(side, "POST", f"{path}/archive", None, owner)
    return Thing(path.rpartition("/")[2], str(owner.id), state, classification)


async def _two(side: CommandSide, path: str, body: Any, by: Person) -> list[Thing]:
    """One that was taken back, and one that counts."""
    withdrawn = str((await _done(side, "POST", path, body, by))["id"])
    await _done(side, "DELETE", f"{path}/{withdrawn}", None, by)
    counting = str((await _done(side, "POST", path, body, by))["id"])
    return [Thing(withdrawn, state="withdrawn"), Thing(counting)]
