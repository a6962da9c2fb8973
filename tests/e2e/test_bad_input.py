"""Every row of the table of bad input ends in its documented problem, and nothing of it is written."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from shared_kernel.auth.passwords import WeakPassword
from shared_kernel.messaging.consistency import MalformedConsistencyToken
from shared_kernel.web.problems import MEDIA_TYPE, known_problems
from tests.e2e.bad_input import TABLE
from tests.e2e.bad_row import Row
from tests.e2e.forgeries import FORGERIES, Forger
from tests.support.load import sign_up
from tests.support.stack import Stack

ROWS = [row for part in TABLE.values() for row in part]
OAUTH = {"/v1/token"}
OF_FEATURES = (WeakPassword, MalformedConsistencyToken)
"""Problems that are known once the modules that raise them are there."""

PATIENCE = 15.0
WRITTEN = """
SELECT (SELECT max(position) FROM events), (SELECT count(*) FROM idempotency), (SELECT count(*) FROM claims)
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back on the wire: `status` 0 when the connection was closed without a word."""

    status: int
    media_type: str
    body: bytes


def spoken(address: str, request: bytes) -> Heard:
    """Send exactly these bytes over a connection of their own and read until it is closed."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=PATIENCE) as wire:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough, and may have answered
            wire.sendall(request)
        return heard(b"".join(received(wire)))


def received(wire: socket.socket) -> list[bytes]:
    parts = []
    with suppress(ConnectionResetError):  # what came before it counts
        while part := wire.recv(65_536):
            parts.append(part)
            if complete(b"".join(parts)):
                break
    return parts


def complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end and lengths) and len(body) >= int(lengths[0])


def heard(answer: bytes) -> Heard:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    types = [field.split(b":", 1)[1].strip().decode() for field in fields if field.lower().startswith(b"content-type:")]
    return Heard(int(status.split()[1]) if status else 0, types[0] if types else "", body)


def written(stack: Stack) -> tuple[int, ...]:
    """How much the log and what stands beside it hold."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    with psycopg.connect(kept["command"]["COMMAND_DATABASE_URL"]) as connection:
        row: tuple[int, ...] | None = connection.execute(WRITTEN).fetchone()
    assert row is not None
    return row


@pytest.fixture
async def forger(stack: Stack) -> AsyncIterator[Forger]:
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        yield Forger.of(stack, (await sign_up(stack, http)).token)


@pytest.mark.asvs("V2.2.1", "V13.4.4", "V16.5.1")
@pytest.mark.parametrize("part", TABLE)
def test_bad_input_ends_in_its_documented_problem(
    stack: Stack, forger: Forger, part: str, subtests: pytest.Subtests
) -> None:
    before = written(stack)
    for row in TABLE[part]:
        with subtests.test(row.name):
            address = stack.query_url if row.api == "query" else stack.command_url
            check(row, spoken(address, row.request(forger.authorization(row.token))))
    assert written(stack) == before


def check(row: Row, answer: Heard) -> None:
    said = answer.body[:600].decode(errors="replace")
    assert answer.status == row.status, said
    body = json.loads(answer.body)
    if row.path in OAUTH:
        assert body["error"] == row.code, said
        return
    assert answer.media_type == MEDIA_TYPE
    assert (body["code"], body["status"], body["type"]) == (row.code, row.status, f"/problems/{row.code}"), said
    assert "Traceback" not in said


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_names_a_known_problem_and_a_known_token(row: Row) -> None:
    assert row.token in {*FORGERIES, "none"}
    if row.path not in OAUTH:
        known = known_problems() | {each.code(): each for each in OF_FEATURES}
        assert known[row.code].status == row.status


def test_no_two_rows_have_the_same_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
