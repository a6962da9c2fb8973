"""Every command, asked by every kind of caller about everything there is: let in or refused as the oracle says.

Whoever is let in changes nothing: their request names a version that there is not, or says nothing at all, and only the
others' could do what it says. So the log is as long afterwards as it was before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.security.matrix import ENDED, SUSPENDED, Ask, Case, Sheet, all_of, outcome_of
from tests.security.oracle import Outcome, Proof, expected
from tests.security.rights_of_routes import COMMANDS
from tests.security.town import WHY, Town, settled
from tests.support.command_side import PASSWORD, CommandSide
from tests.support.query_side import quiet

NO_SUCH_VERSION = {"If-Match": '"4711"'}
NOTHING_SAID = {"": ""}
UNASKED = (Proof.SIGNED_IN_BEFORE, Proof.STEPPED_UP)
"""How those have shown who they are of whom nothing further is asked: as weakly and as strongly as can be."""

RULE = {"role": "auditor", "permission": "resources:create"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that means something; without `versions` it gives way to nothing for those who are let in.

    `passing` is what they are answered; `further` are parameters of the path that are no thing.
    """

    body: Any = None
    versions: bool = True
    passing: int = 412
    further: Mapping[str, str] | None = None


def saying(body: Any, passing: int = 422) -> Sent:
    return Sent(body, versions=False, passing=passing)


SENT: Mapping[str, Sent] = {
    "GET /.well-known/jwks.json": saying(None, 200),
    "GET /.well-known/oauth-authorization-server": saying(None, 200),
    "POST /v1/users": saying(None),
    "POST /v1/token": saying(None, 415),
    "POST /v1/token/revoke": saying(None, 415),
    "GET /v1/feed": saying(None, 200),
    "GET /v1/feed/sums": saying(None, 200),
    "POST /v1/operations": saying({"projection": "resources", "action": "rebuild"}),
    "PATCH /v1/me": Sent({"name": "Somebody"}),
    "PUT /v1/me/password": saying({"current_password": PASSWORD, "new_password": "summer-heron-reads-maps"}),
    "POST /v1/me/totp": Sent(),
    "PUT /v1/me/totp": saying({"otp": "492039"}),
    "DELETE /v1/me/totp": Sent(),
    "POST /v1/step-up": saying({"password": PASSWORD}),
    "DELETE /v1/sessions": Sent(),
    "DELETE /v1/sessions/{session_id}": Sent(),
    "PUT /v1/users/{user_id}/suspension": Sent(WHY),
    "DELETE /v1/users/{user_id}/suspension": Sent(),
    "PUT /v1/users/{user_id}/roles/{role}": Sent(further={"role": "auditor"}),
    "DELETE /v1/users/{user_id}/roles/{role}": Sent(further={"role": "auditor"}),
    "PUT /v1/tenant/registration": Sent({"invitation_only": True}),
    "POST /v1/invitations": saying({"hours": 48}),
    "DELETE /v1/invitations/{invitation_id}": Sent(),
    "POST /v1/policies": saying(RULE),
    "DELETE /v1/policies/{policy_id}": Sent(),
    "POST /v1/resources": saying({"name": "orjson"}),
    "PATCH /v1/resources/{resource_id}": Sent({"name": "ruff"}),
    "POST /v1/resources/{resource_id}/archive": Sent(),
    "POST /v1/resources/{resource_id}/restore": Sent(),
    "POST /v1/projections/{name}/rebuild": Sent(WHY),
    "POST /v1/projections/{name}/parked/retry": Sent({"stream": "resources-1"}),
    "POST /v1/projections/{name}/parked/skip": Sent({"stream": "resources-1", "position": 1, **WHY}),
    "POST /v1/projections/{name}/{action}": Sent(WHY, further={"action": "rollback"}),
}


async def ask(town: Town, sheet: Sheet, case: Case) -> None:
    route, sent, thing = COMMANDS[case.route], SENT[case.route], case.thing
    wanted = expected(route, case.caller, thing, case.added)
    let_in = wanted is Outcome.PASSES
    method, template = case.route.split()
    path = template.format_map({**(sent.further or {}), **dict.fromkeys(town.things, thing.name if thing else "")})
    headers = town.credentials.of(case.caller) | (NO_SUCH_VERSION if let_in and sent.versions else {})
    body = NOTHING_SAID if let_in and not sent.versions and method != "GET" else sent.body
    answer = await town.side.http.request(method, path, json=body, headers=headers)
    sheet.compare(case, wanted, outcome_of(answer, sent.passing))


@pytest.mark.timeout(400)
@pytest.mark.asvs("V8.2.1", "V8.2.2", "V8.3.1", "V8.4.1")
async def test_every_command_is_open_to_whom_the_oracle_says_and_to_nobody_else(command_side: CommandSide) -> None:
    sheet = Sheet()
    with quiet():
        town = await settled(command_side)
        before = await town.length()
        await all_of(asks(town, sheet))
        written = await town.length() - before
    sheet.require_agreement()
    assert written == 0


def asks(town: Town, sheet: Sheet) -> Iterator[Ask]:
    for name, route in COMMANDS.items():
        callers = town.cast.people(Proof if route.step_up else UNASKED)
        for caller in (*callers, *town.cast.strangers(ENDED, SUSPENDED)):
            for thing in town.about(name, caller):
                yield partial(ask, town, sheet, Case(name, caller, thing))
