"""Every question, asked by every kind of caller about everything there is: answered or refused as the oracle says.

Lists hold what the oracle shows to the caller, neither more nor less, and single fields are redacted for whom it says.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.security.matrix import ENDED, Ask, Case, Sheet, all_of, outcome_of
from tests.security.oracle import Proof, expected, may, shown
from tests.security.records import Records, written
from tests.security.rights_of_routes import QUESTIONS
from tests.support.query_side import QuerySide

REDACTED = "[redacted]"
PERSONAL = {
    "accounts.UserRegistered.v1": {"email", "name"},
    "accounts.UserSuspended.v1": {"reason"},
    "sessions.SessionStarted.v1": {"device"},
}


async def ask(records: Records, sheet: Sheet, case: Case) -> None:
    wanted = expected(QUESTIONS[case.route], case.caller, case.thing, case.added)
    path = case.route.split()[1].format_map(dict.fromkeys(records.things, case.thing.name if case.thing else ""))
    params = {"limit": 200} if records.listed_at(case.route) else None
    answer = await records.side.http.get(path, headers=records.credentials.of(case.caller), params=params)
    sheet.compare(case, wanted, outcome_of(answer, 200))
    if answer.status_code == 200:
        for what in (*wrong_rows(records, case, answer.json()), *wrong_fields(case, answer.json())):
            sheet.note(case, what)


def wrong_rows(records: Records, case: Case, body: dict[str, Any]) -> Iterator[str]:
    if listed := records.listed_at(case.route):
        found = {str(item["position"] if case.route == "GET /v1/events" else item["id"]) for item in body["items"]}
        wanted = shown(QUESTIONS[case.route], case.caller, listed, case.added)
        if found != wanted:
            yield f"shows {sorted(found - wanted)} too, and not {sorted(wanted - found)}"


def wrong_fields(case: Case, body: dict[str, Any]) -> Iterator[str]:
    """Fields that are redacted for the wrong callers, or not for the right ones."""
    for item in body.get("items", [body]):
        reason = item.get("suspension_reason")
        if reason and (reason != REDACTED) is not may("accounts:read-suspension-reason", case.caller, case.added):
            yield f"reads {reason} as the reason of a suspension"
        for name in PERSONAL.get(item.get("type", ""), ()):
            value = item["data"][name]
            if (value != REDACTED) is not may("audit:read-personal", case.caller, case.added):
                yield f"reads {value} as {name} of {item['type']}"


def asks(records: Records, sheet: Sheet) -> Iterator[Ask]:
    for name in QUESTIONS:
        callers = records.cast.people((Proof.SIGNED_IN_BEFORE,))
        for caller in (*callers, *records.cast.strangers(ENDED)):
            for thing in records.about(name, caller):
                yield partial(ask, records, sheet, Case(name, caller, thing))


@pytest.mark.timeout(400)
@pytest.mark.asvs("V8.2.1", "V8.2.2", "V8.2.3", "V8.3.1", "V8.4.1")
async def test_every_question_is_answered_to_whom_the_oracle_says_and_to_nobody_else(query_side: QuerySide) -> None:
    sheet = Sheet()
    records = await written(query_side)
    await all_of(asks(records, sheet))
    sheet.require_agreement()
