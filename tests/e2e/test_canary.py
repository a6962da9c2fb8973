"""A person with an unmistakable name, through the running pair: in clear in the read model, and nowhere else."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import redis
from psycopg import sql

from shared_kernel.auth.secrets import derive
from shared_kernel.messaging.feed import FEED_PATH, PAGE_LIMIT
from tests.support.stack import Stack
from tests.support.waiting import eventually

NAME = "Axolotl Xochimilco"
EMAIL = "axolotl.xochimilco@example.com"
PASSWORD = "axolotl-swims-in-the-lake"
WORDS = ("axolotl", "xochimilco")
"""Of which no other test on the same stack writes any."""


def settings_of(stack: Stack, service: str) -> dict[str, str]:
    """What a service of the stack was told, its secret files included."""
    folder = stack.data / "secrets"
    told: dict[str, str] = json.loads((folder / "environment.json").read_text())[service]
    return told | {file.name: file.read_text() for file in (folder / service).iterdir()}


def text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def table(url: str, schema: str, name: str) -> str:
    """Every cell of a table, bytes as text where they are text."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))).fetchall()
    return "\n".join(text(cell) for row in rows for cell in row)


def streams(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        found = {key: client.xrange(key) for key in client.scan_iter(_type="stream")}
    return "\n".join(
        f"{text(name)} {text(value)}"
        for entries in found.values()
        for _, fields in entries
        for name, value in fields.items()
    )


def feed(stack: Stack, secret: str) -> str:
    """All pages: other tests may have written a lot to the same log before."""
    credential = {"Authorization": f"Bearer {derive(secret.encode(), 'feed').hex()}"}
    found: list[str] = []
    after = 0
    while True:
        page = f"{stack.command_url}{FEED_PATH}?limit={PAGE_LIMIT}&after={after}"
        answer = httpx2.get(page, headers=credential, timeout=30)
        assert answer.status_code == 200
        lines = [json.loads(line) for line in answer.text.splitlines()]
        if not lines:
            return "\n".join(found)
        payloads = [base64.b64decode(line[name]) for line in lines for name in ("payload", "metadata")]
        found += [answer.text, *map(text, payloads)]
        after = lines[-1]["position"]


def logs(folder: Path) -> str:
    return "\n".join(file.read_text(errors="replace") for file in folder.glob("*.log"))


@pytest.mark.asvs("V14.2.4", "V16.2.5")
async def test_personal_data_is_in_clear_in_the_read_model_and_nowhere_else(stack: Stack) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    form = {"grant_type": "password", "username": EMAIL, "password": PASSWORD}
    with httpx2.Client(timeout=10) as http:
        made = http.post(f"{stack.command_url}/v1/users", json=body)
        assert made.status_code == 201, made.text
        token = http.post(f"{stack.command_url}/v1/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Consistency-Token": made.headers["Consistency-Token"]}
        me = f"{stack.query_url}/v1/me"
        await eventually(lambda: http.get(me, headers=headers).status_code == 200, "the account to be readable")
        assert http.get(me, headers=headers).json()["name"] == NAME
    command, query = settings_of(stack, "command"), settings_of(stack, "query")
    person = made.json()["id"]
    places = {
        "event rows": table(command["COMMAND_DATABASE_URL"], "public", "events"),
        "claims": table(command["COMMAND_DATABASE_URL"], "public", "claims"),
        "streams": streams(command["REDIS_URL"]),
        "feed": feed(stack, command["twinlog_shared_secret"]),
        "audit copy": table(query["QUERY_DATABASE_URL"], "public", "audit_events"),
    }
    for place, found in places.items():
        assert person in found, f"{place}: the search does not find what is there"
    places["logs"] = logs(stack.data / "logs")
    assert WORDS[0] in table(query["QUERY_DATABASE_URL"], "blue", "users").lower()
    for place, found in places.items():
        for secret in WORDS:
            assert secret not in found.lower(), place
