"""What operators type: tenants and admins from the command line, against real databases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from command_service.bootstrap import bootstrap
from shared_kernel.auth.tokens import SigningKey
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, variables_of
from tests.support.command_side import settings_of
from tests.support.stack import twinlog

PASSWORD = "winter-otter-plays-chess"
ADMIN = ("users", "create-admin", "--email", "adm@example.com", "--password-stdin")


@pytest.fixture
def variables(command_database: Database, vault_database: Vault) -> dict[str, str]:
    return variables_of(command_database, vault_database)


def typed(variables: Mapping[str, str], *words: str, given: str = "") -> tuple[int, dict[str, Any]]:
    """The exit code, and the one JSON object on standard output."""
    done = twinlog(*words, "--json", variables=variables, given=given)
    assert done.stdout.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def test_created_tenant_takes_registrations_and_its_admin_signs_in(variables: dict[str, str]) -> None:
    assert typed(variables, "tenants", "create", "acme") == (0, {"ok": True, "tenant": "acme"})
    code, made = typed(variables, *ADMIN, "--tenant", "acme", given=PASSWORD)
    assert (code, made["ok"], made["tenant"]) == (0, True, "acme")
    with command_process(variables) as running, httpx2.Client(base_url=running.url) as http:
        form = {"grant_type": "password", "username": "adm@example.com", "password": PASSWORD}
        token = http.post("/v1/token", data=form, headers={"Tenant": "acme"}).json()["access_token"]
        path = f"/v1/users/{made['user_id']}/roles/auditor"
        assert http.put(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.asvs("V6.3.2")
async def test_first_tenant_is_there_however_often_a_service_starts(
    command_database: Database, vault_database: Vault
) -> None:
    for _ in range(2):
        async with bootstrap(settings_of(command_database, vault_database)).running():
            pass
    with psycopg.connect(command_database.owner_url) as connection:
        found = connection.execute("SELECT tenant, stream, topic FROM events").fetchall()
        claimed = connection.execute("SELECT tenant, kind, key FROM claims").fetchall()
    assert found == [("default", "tenants-default", "access.TenantCreated.v1")]
    assert claimed == [("default", "tenant", "default")]


def test_refusals_are_one_object_with_a_code(variables: dict[str, str]) -> None:
    assert typed(variables, "tenants", "create", "default")[1]["code"] == "tenant-already-exists"
    for words, given, exit_code, code in (
        (("tenants", "create", "default"), "", 1, "tenant-already-exists"),
        (("tenants", "create", "No Slug"), "", 2, "validation-failed"),
        ((*ADMIN, "--tenant", "nowhere"), PASSWORD, 1, "not-found"),
        (ADMIN, "weak", 1, "weak-password"),
        (ADMIN, "", 2, "validation-failed"),
    ):
        found = typed(variables, *words, given=given)
        assert (found[0], found[1]["ok"], found[1]["code"]) == (exit_code, False, code), words


def test_unreachable_database_is_exit_code_3(variables: dict[str, str]) -> None:
    nowhere = {**variables, "TWINLOG_COMMAND_DATABASE_URL": "postgresql://twinlog:hidden@127.0.0.1:9/twinlog"}
    code, answer = typed(nowhere, "tenants", "create", "acme")
    assert (code, answer["code"]) == (3, "unreachable")
    assert "hidden" not in answer["detail"]


def test_without_json_it_speaks_in_sentences(variables: dict[str, str]) -> None:
    done = twinlog("tenants", "create", "acme", variables=variables)
    assert (done.returncode, done.stdout) == (0, "The tenant acme is created.\n")
    refused = twinlog("tenants", "create", "acme", variables=variables)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "There is a tenant of this name already.\n"


def test_token_keys_are_listed_and_rotated_once_at_a_time(variables: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(SigningKey.generate_pem())
    variables = {**variables, "TWINLOG_TOKEN_KEY_FILE": str(path)}
    (first,) = typed(variables, "keys", "list")[1]["keys"]
    assert (first["state"], first["published_until"]) == ("current", None)
    code, answer = typed(variables, "keys", "rotate")
    assert (code, [key["state"] for key in answer["keys"]]) == (0, ["next", "current"])
    assert typed(variables, "keys", "list")[1]["keys"] == answer["keys"]
    code, refused = typed(variables, "keys", "rotate")
    assert (code, refused["code"]) == (1, "rotation-pending")
    (alone,) = typed(variables, "keys", "rotate", "--compromised")[1]["keys"]
    assert (alone["state"], alone["kid"] == first["kid"]) == ("current", False)
    said = twinlog("keys", "list", variables=variables).stdout
    assert said.startswith(f"current  {alone['kid']}  signs from ")
    assert "PRIVATE" not in said


def test_without_a_key_file_there_is_nothing_to_rotate(variables: dict[str, str], tmp_path: Path) -> None:
    for path, why in (("", "TWINLOG_TOKEN_KEY_FILE is missing"), (str(tmp_path / "a" / "key.pem"), "cannot be read")):
        given = {**variables, "TWINLOG_TOKEN_KEY_FILE": path} if path else variables
        code, answer = typed(given, "keys", "rotate")
        assert (code, why in answer["detail"]) == (2, True)


@pytest.mark.asvs("V6.3.3")
def test_operator_lets_a_tenant_ask_for_a_second_factor(variables: dict[str, str]) -> None:
    assert typed(variables, "tenants", "create", "acme")[0] == 0
    told = {"ok": True, "tenant": "acme", "second_factor": "required"}
    assert typed(variables, "tenants", "second-factor", "acme", "required") == (0, told)
    assert typed(variables, "tenants", "second-factor", "acme", "optional")[0] == 0
    assert typed(variables, "tenants", "second-factor", "nowhere", "required")[1]["code"] == "not-found"


@pytest.mark.asvs("V6.4.3", "V6.4.4")
def test_operator_helps_a_user_who_lost_password_or_factor(variables: dict[str, str]) -> None:
    whose = ("--email", "adm@example.com")
    assert typed(variables, *ADMIN, given=PASSWORD)[0] == 0
    code, made = typed(variables, "users", "reset-password", *whose)
    assert (code, len(made["code"])) == (0, 39)
    removed = {"ok": True, "tenant": "default", "changed": False}
    assert typed(variables, "users", "remove-second-factor", *whose) == (0, removed)
    for command in ("reset-password", "remove-second-factor"):
        assert typed(variables, "users", command, "--email", "nobody@example.com")[1]["code"] == "not-found"
