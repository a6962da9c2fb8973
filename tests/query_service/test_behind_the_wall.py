"""Asking behind the second wall: what a question says of its tenant ends with it, and rows are found by an index."""

import psycopg
import pytest
from psycopg import sql

from query_service.features.resources.queries import BY_ID
from query_service.infrastructure.database import Database
from tests.support.cluster import Database as Urls

OURS, THEIRS = "acme", "globex"

MANY = (
    """INSERT INTO blue.resources (tenant, id, version, created_position, name, description, classification, attributes,
        tags, owner, state, created_at, updated_at)
       SELECT t, gen_random_uuid(), 1, n, 'n' || n, '', 'internal', '{}', jsonb_build_array('t' || n),
        gen_random_uuid(), 'active', now(), now()
        FROM unnest(ARRAY['acme', 'globex']) AS t, generate_series(1, 5000) AS n""",
    """INSERT INTO public.audit_events (position, epoch, tenant, tenant_seq, stream, version, topic, payload_format,
        payload, metadata, event_id, recorded_at, slot, leaf_version, leaf_hash, actor)
       SELECT 2 * n + length(t) % 2, 1, t, n, 's-' || n, 1, 't', 1, '', '', gen_random_uuid(), n, 1, 1, '', 'a-' || n
        FROM unnest(ARRAY['acme', 'globe']) AS t, generate_series(1, 5000) AS n""",
    "ANALYZE blue.resources, public.audit_events",
)


@pytest.mark.parametrize(
    ("question", "index"),
    [
        (
            """SELECT r.name FROM blue.resources r JOIN unnest(ARRAY['acme'], ARRAY[gen_random_uuid()]) AS w (t, id)
                ON r.tenant = w.t AND r.id = w.id""",
            "resources_pk",
        ),
        (
            "SELECT r.name FROM blue.tenant_resources r WHERE r.tenant = 'acme' AND r.tags @> '[\"t7\"]'",
            "resources_tags_ix",
        ),
        (
            "SELECT r.name FROM blue.tenant_resources r WHERE r.tenant = 'acme' AND lower(r.name) ^@ 'n77'",
            "resources_name_ix",
        ),
        (
            "SELECT a.stream FROM public.tenant_events a WHERE a.tenant = 'acme' AND a.actor = 'a-7' ORDER BY position",
            "audit_events_actor_ix",
        ),
        ("SELECT r.name FROM blue.resources r ORDER BY r.created_position LIMIT 50", "resources_created_ix"),
    ],
)
def test_behind_the_wall_questions_still_find_their_rows_by_an_index(
    query_database: Urls, question: str, index: str
) -> None:
    with psycopg.connect(query_database.owner_url, autocommit=True) as owner:
        for statement in MANY:
            owner.execute(statement.encode())
    with psycopg.connect(query_database.reader_url) as connection:
        connection.execute("SELECT set_config('twinlog.tenant', 'acme', true)")
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN (COSTS OFF) {question}".encode()))
    assert index in plan, plan
    assert "Seq Scan" not in plan, plan


def test_a_plan_that_was_made_for_nobody_serves_a_large_tenant_as_well(query_database: Urls) -> None:
    with psycopg.connect(query_database.owner_url, autocommit=True) as owner:
        for statement in MANY:
            owner.execute(statement.encode())
    question = BY_ID.query.format(generation="blue")
    with psycopg.connect(query_database.reader_url) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE question AS {question}".encode())
        for _ in range(2):
            plan = connection.execute(
                "EXPLAIN (COSTS OFF) EXECUTE question (ARRAY['globex'], ARRAY[gen_random_uuid()])"
            ).fetchall()
            assert any("AND (id = wanted.id)" in line for (line,) in plan), plan
            connection.execute("SELECT set_config('twinlog.tenant', %s, true)", (THEIRS,))


BROKEN = sql.SQL("SELECT 1 / (length(%(a)s) - 1) AS n")
BROKEN_FOR_ALL = "SELECT 1 / (length(a) - 1) AS n FROM unnest($1::text[]) AS u (a)"
SAID_FOR_ALL = "SELECT current_setting('twinlog.tenant') AS tenant, a FROM unnest($1::text[]) AS u (a)"
SAID = sql.SQL("SELECT coalesce(current_setting('twinlog.tenant', true), '') AS tenant")


@pytest.mark.asvs("V8.4.1")
async def test_what_a_question_says_ends_with_it_whether_or_not_it_is_answered(query_database: Urls) -> None:
    database = Database(query_database.reader_url, size=1)
    await database.open()
    try:
        for tenant in (OURS, THEIRS):
            assert await database.of(tenant).rows(SAID, {}) == [{"tenant": tenant}]
            with pytest.raises(psycopg.errors.DivisionByZero):
                await database.of(tenant).rows(BROKEN, {"a": "x"})
            assert await database.row(SAID) == {"tenant": ""}
        for _ in range(2):
            several = await database.rows_of_all(SAID_FOR_ALL, {OURS: [["ours"]], THEIRS: [["theirs"]]})
            assert several == [{"tenant": OURS, "a": "ours"}, {"tenant": THEIRS, "a": "theirs"}]
            with pytest.raises(psycopg.errors.DivisionByZero):
                await database.rows_of_all(BROKEN_FOR_ALL, {OURS: [["xyz"]], THEIRS: [["x"]]})
            assert await database.row(SAID) == {"tenant": ""}
            async with database.connection() as connection:
                await connection.execute("DEALLOCATE ALL")
    finally:
        await database.close()
