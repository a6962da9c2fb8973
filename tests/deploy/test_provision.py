"""Provisioning: secrets for their owner alone, roles that can do no more than they must."""

import json
import stat
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from deploy.local import provision
from deploy.local.data_folder import DataFolder, FolderRefused
from deploy.local.databases import COMMAND, QUERY, ROLES, VAULT, ensure_database, ensure_roles, url_for
from shared_kernel.auth.tokens import SigningKey
from tests.support.cluster import PASSWORD, Cluster


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


@pytest.mark.asvs("V13.3.2")
def test_secrets_are_made_once_and_only_their_owner_reads_them(folder: DataFolder) -> None:
    provision.ensure_secrets(folder)
    files = {path: path.read_text() for path in folder.secrets.rglob("*") if path.is_file()}
    provision.ensure_secrets(folder)
    assert files == {path: path.read_text() for path in folder.secrets.rglob("*") if path.is_file()}
    for path in (folder.secrets, *folder.secrets.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.asvs("V13.3.2")
def test_the_query_service_is_not_given_what_is_the_command_services_alone(folder: DataFolder) -> None:
    provision.ensure_secrets(folder)
    command, query = folder.secrets / "command", folder.secrets / "query"
    assert {path.name for path in query.iterdir()} == {"twinlog_shared_secret", "twinlog_kek"}
    assert (query / "twinlog_kek").read_text() == (command / "twinlog_kek").read_text()
    assert (query / "twinlog_shared_secret").read_text() != (command / "twinlog_command_secret").read_text()
    assert SigningKey.from_pem((command / provision.TOKEN_KEY).read_bytes()).kid


def test_lost_secrets_are_not_replaced_by_ones_that_open_nothing(folder: DataFolder) -> None:
    folder.postgres.mkdir()
    (folder.postgres / "password").write_text("secret")
    with pytest.raises(FolderRefused, match=r"secrets in .* are gone"):
        provision.ensure_secrets(folder)


def test_secrets_whose_making_broke_off_are_made_anew(folder: DataFolder) -> None:
    (folder.path / "secrets.unfinished" / "query").mkdir(parents=True)
    (folder.path / "secrets.unfinished" / "query" / "twinlog_kek").write_text("half")
    provision.ensure_secrets(folder)
    assert (folder.secrets / "query" / "twinlog_kek").read_text() != "half"
    assert json.loads((folder.secrets / provision.PASSWORDS).read_text()).keys() == set(ROLES)


def test_a_role_of_a_later_release_gets_a_password_and_the_others_keep_theirs(folder: DataFolder) -> None:
    provision.ensure_secrets(folder)
    file = folder.secrets / provision.PASSWORDS
    all_of_them = json.loads(file.read_text())
    before = {role: password for role, password in all_of_them.items() if role != QUERY.users[1]}
    file.write_text(json.dumps(before))
    provision.ensure_secrets(folder)
    after = json.loads(file.read_text())
    assert after.keys() == set(ROLES)
    assert before.items() <= after.items()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_roles_and_databases_are_made_once(cluster: Cluster) -> None:
    with psycopg.connect(cluster.server_url, autocommit=True) as admin:
        for _ in range(2):
            ensure_roles(admin, dict.fromkeys(ROLES, PASSWORD))
            ensure_database(admin, VAULT)
        powers = admin.execute(
            "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s) "
            "AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)",
            [list(ROLES)],
        ).fetchall()
    assert powers == []


@pytest.mark.asvs("V13.2.2")
def test_a_role_cannot_enter_a_database_that_is_not_its_own(cluster: Cluster, empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        name = connection.info.dbname
    for stranger in (QUERY.owner, *QUERY.users, *VAULT.users):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(cluster.url(name, stranger))


def test_the_run_time_role_cannot_make_tables(cluster: Cluster, empty_database: str) -> None:
    with psycopg.connect(empty_database) as connection:
        name = connection.info.dbname
    with (
        psycopg.connect(cluster.url(name, COMMAND.users[0])) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE sneaked (number int CONSTRAINT sneaked_pk PRIMARY KEY)")


def test_a_password_with_odd_signs_stays_whole_in_a_url() -> None:
    url = url_for("postgresql://postgres:p@127.0.0.1:5432/postgres", "db", "role", "a/b@c:d e?f")
    assert psycopg.conninfo.conninfo_to_dict(url)["password"] == "a/b@c:d e?f"
