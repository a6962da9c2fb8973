"""The doctor looks for holes in the wall that keeps tenants apart in the query database."""

import psycopg
import pytest

from deploy.doctor.connecting import connect
from deploy.doctor.examination import examine
from deploy.doctor.finding import State
from deploy.doctor.rights import rights
from deploy.doctor.surroundings import Surroundings, Way
from deploy.local.environment import Environments
from tests.support.cluster import Database


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("ALTER TABLE blue.users DISABLE ROW LEVEL SECURITY", "sees every tenant in blue.users"),
        ("CREATE POLICY loose ON green.sessions USING (true)", "sees every tenant in green.sessions"),
        ("GRANT SELECT ON public.audit_events TO twinlog_query_reader", "sees every tenant in public.audit_events"),
        ("GRANT DELETE ON blue.resources TO twinlog_query_reader", "may DELETE blue.resources"),
        ("REVOKE SELECT ON blue.resources FROM twinlog_query_reader", "cannot read blue.resources"),
    ],
)
def test_a_hole_in_the_wall_between_tenants_is_found(query_database: Database, statement: str, words: str) -> None:
    way = Way("query", "reader", query_database.reader_url)
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute(statement.encode())
    with connect(way.url) as connection:
        check = rights(way, connection, [])
    assert (check.name, check.state) == ("rights.query-reader", State.FOUND)
    assert check.says.startswith(f"twinlog_query_reader {words}")


def test_the_writer_in_the_readers_place_is_found(query_database: Database) -> None:
    with connect(query_database.app_url) as connection:
        check = rights(Way("query", "reader", query_database.app_url), connection, [])
    assert "sees every tenant in blue.operations" in check.says


def test_a_query_api_without_a_role_of_its_own_is_mentioned(query_database: Database) -> None:
    around = Surroundings(
        Environments({}, {"QUERY_DATABASE_URL": query_database.app_url}, {}), {"query": "http://x"}, {}
    )
    (check,) = (check for check in examine(around) if check.name == "rights.query-reader")
    assert check.state is State.SKIPPED
    assert "TWINLOG_QUERY_READER_URL" in check.says
