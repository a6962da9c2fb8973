"""A person with an unmistakable name: found nowhere in clear, neither in the database nor in the logs."""

from typing import Any

import httpx2
import psycopg
import pytest
from psycopg import sql

from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, variables_of

NAME = "Canary Quetzalcoatl"
EMAIL = "canary.quetzalcoatl@example.com"
PASSWORD = "canary-swims-in-the-lake"
WRONG = "canary-drowns-in-the-lake"


def everything_in(url: str) -> str:
    """Every row of every table, bytes shown as text where they are text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows: list[Any] = []
        for (table,) in tables:
            rows += connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall()
    return "\n".join(
        cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for row in rows for cell in row
    )


def live(url: str) -> None:
    """Everything that a person may do or get wrong on the way in."""
    with httpx2.Client(base_url=url, timeout=20) as http:
        body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
        for key in ("canary-key-1", "canary-key-1", "canary-key-2"):
            http.post("/v1/users", json=body, headers={"Idempotency-Key": key})
        http.post("/v1/users", json={**body, "name": NAME + "\n", "email": EMAIL + "@", "extra": PASSWORD})
        http.post("/v1/users", content=b'{"email": "' + EMAIL.encode(), headers={"Content-Type": "application/json"})
        http.get("/v1/nothing", params={"email": EMAIL})
        form = {"grant_type": "password", "username": EMAIL, "password": PASSWORD}
        http.post("/v1/token", data={**form, "password": WRONG})
        http.post("/v1/token", data={**form, "grant_type": PASSWORD})
        token = http.post("/v1/token", data=form).json()["access_token"]
        for refresh in ("tlr_canary-in-a-cage", "canary"):
            http.post("/v1/token", data={"grant_type": "refresh_token", "refresh_token": refresh})
            http.post("/v1/token/revoke", data={"token": refresh})
        http.post("/v1/token", data={**form, "otp": "canary-otp"})
        signed_in = {"Authorization": f"Bearer {token}"}
        http.post("/v1/step-up", json={"otp": "canary-otp", "password": WRONG}, headers=signed_in)
        http.post("/v1/step-up", json={"otp": "canary-otp", "canary": WRONG}, headers=signed_in)
        http.post("/v1/me/totp", headers=signed_in)
        http.put("/v1/me/totp", json={"otp": "canary-otp"}, headers=signed_in)
        http.put("/v1/me/totp", json={"otp": "canary-otp" * 10}, headers=signed_in)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "canary-key-3"}
        assert http.post("/v1/resources", json={"name": "harmless"}, headers=headers).status_code == 201


@pytest.mark.asvs("V14.2.4", "V16.2.5")
def test_no_personal_data_in_clear_anywhere(command_database: Database, vault_database: Vault) -> None:
    settings = variables_of(command_database, vault_database, TWINLOG_LOG_LEVEL="debug")
    with command_process(settings) as running:
        live(running.url)
        assert running.stop() == 0
    stored = everything_in(command_database.owner_url) + everything_in(vault_database.owner_url)
    assert "harmless" in stored  # so that it is known that the search finds what is there
    for place, text in (("database", stored), ("logs", running.said)):
        for secret in ("canary", "quetzalcoatl"):
            assert secret not in text.lower(), place
