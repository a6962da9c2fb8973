"""Completeness: whatever was left out, done twice, deleted or changed is found, with the first wrong position."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from query_service.projector import auditor as auditor_module
from query_service.projector.auditing import Finding
from query_service.projector.explaining import Run, explained, run_with_sum
from query_service.projector.parked_retry import retry, skip
from query_service.projector.projector import decoder_of
from query_service.projector.rebuild import rebuild
from query_service.projector.verification import verify_all, verify_sums
from shared_kernel.events.completeness import MODULUS, term
from tests.projector.test_control import FIXED, NAME, write
from tests.support.cluster import Database
from tests.support.read_side import ReadSide, eventually
from tests.support.tallies import PROJECTION, REGISTRY, TallyClosed, TallyRaised

WRONG_PLACES = [("changed", 3), ("missing", 7), ("missing", 8), ("missing", 21), ("changed", 30)]


class AsyncAnswer:
    """The same answer to every question."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def __call__(self) -> Any:
        return self._answer


async def verified(side: ReadSide) -> list[tuple[str, str, int | None]]:
    tools = side.tools()
    found = await verify_all(tools, decoder_of(tools, REGISTRY, side.vault), [PROJECTION])
    return [(finding.projection, finding.kind, finding.position) for finding in found]


async def projected(side: ReadSide, count: int = 20) -> None:
    await side.register()
    write(side, count)
    await side.publish()
    await side.apply(side.engine(), side.slices())


async def test_untouched_read_models_are_whole(side: ReadSide) -> None:
    await projected(side)
    (closed,) = write(side, 1)
    side.history.append(f"tallies-{closed}", TallyClosed(tally_id=closed))
    await side.apply(side.engine(), side.slices(40))
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert await verified(side) == []


async def test_sums_of_the_log_are_used_where_it_has_kept_them(side: ReadSide) -> None:
    await projected(side, 600)
    asked: list[int] = []
    found = side.history.rows[1000].position
    sums = side.feed.sums

    async def counted(upto: int) -> Any:
        position, by_partition = await sums(upto)
        asked.append(position)
        return position, by_partition

    side.feed.sums = counted  # type: ignore[method-assign] # to look over its shoulder
    assert await verify_sums(side.tools()) == []
    assert found == 1001
    assert 1000 in asked


async def test_row_deleted_by_hand_is_found_with_the_position_where_it_began(side: ReadSide) -> None:
    await projected(side)
    third = side.history.rows[4].stream.removeprefix("tallies-")
    await side.rows("DELETE FROM blue.tallies WHERE id = %s RETURNING 1", third)
    assert await verified(side) == [(NAME, "rows", 5)]


async def test_row_changed_by_hand_and_row_that_came_back_are_found(side: ReadSide) -> None:
    await projected(side)
    first, second = (side.history.rows[n].stream.removeprefix("tallies-") for n in (0, 2))
    await side.rows("UPDATE blue.tallies SET total = total * 2 WHERE id = %s RETURNING 1", second)
    side.history.append(f"tallies-{first}", TallyClosed(tally_id=UUID(first)))
    kept = await side.rows("SELECT tenant, id FROM blue.tallies WHERE id = %s", first)
    await side.apply(side.engine(), side.slices(40))
    (key,) = kept
    await side.rows(
        "INSERT INTO blue.tallies (tenant, id, total, steps, details, note, version)"
        " VALUES (%s, %s, 1, '{}', '{}', '', 2) RETURNING 1",
        *key,
    )
    found = await verified(side)
    assert {kind for _, kind, _ in found} == {"rows"}
    assert found[0] == (NAME, "rows", 1)


async def test_event_skipped_on_purpose_is_named(side: ReadSide) -> None:
    await projected(side)
    before = len(side.history.rows)
    write(side, 1)
    partition = side.history.partition(side.history.rows[before])
    end = side.history.rows[-1].position
    await side.rows(
        "UPDATE public.checkpoints SET position = %s WHERE projection = 'tallies' AND partition = %s RETURNING 1",
        end,
        partition,
    )
    await side.apply(side.engine(), side.slices(before))  # the audit copy goes on, the tallies believe to be there
    found = await verified(side)
    assert (NAME, "missing", before + 1) in found
    assert (NAME, "rows", before + 1) in found


async def test_event_applied_twice_is_named(side: ReadSide) -> None:
    await projected(side)
    last = side.history.rows[-1]
    partition = side.history.partition(last)
    previous = side.history.last(last.position - 1)[partition]
    for name in ("tallies", "audit_events"):
        await side.rows(
            "UPDATE public.checkpoints SET position = %s WHERE projection = %s AND partition = %s RETURNING 1",
            previous,
            name,
            partition,
        )
    await side.apply(side.engine(), side.slices(last.position - 1))
    found = await verified(side)
    assert (NAME, "twice", last.position) in found
    assert any(kind == "rows" for _, kind, _ in found)


async def test_event_missing_from_the_audit_copy_and_one_that_was_changed_are_named(
    side: ReadSide, query_database: Database
) -> None:
    await projected(side)
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("DELETE FROM public.audit_events WHERE position = 7")
    assert ("audit_events", "missing", 7) in await verified(side)
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("UPDATE public.audit_events SET payload = '{}' WHERE position = 3")
    assert ("audit_events", "changed", 3) in await verified(side)


async def test_every_wrong_place_in_the_audit_copy_is_named(side: ReadSide, query_database: Database) -> None:
    await projected(side)
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("DELETE FROM public.audit_events WHERE position IN (7, 8, 21)")
        connection.execute("UPDATE public.audit_events SET payload = '{}' WHERE position IN (3, 30)")
    wrong = [each for each in await verified(side) if each[0] == "audit_events"]
    assert wrong == [("audit_events", kind, at) for kind, at in WRONG_PLACES]


async def test_copy_that_has_gone_on_since_the_log_was_asked_is_not_accused(side: ReadSide) -> None:
    await projected(side)
    facts = replace(await side.feed.facts(), head=10)
    side.feed.facts = AsyncAnswer(facts)  # type: ignore[method-assign] # an answer that came a while ago
    assert await verified(side) == []


async def test_two_events_that_were_left_out_apart_are_both_named(side: ReadSide) -> None:
    await projected(side, 100)
    partition = side.history.partition(side.history.rows[0])
    rows = [row for row in side.history.rows if side.history.partition(row) == partition]
    lacking = sum(term(row.position, row.leaf_hash) for row in (rows[2], rows[-3]))
    await side.rows(
        "UPDATE public.checkpoints SET handled_sum = mod(handled_sum + %s, 2::numeric ^ 256)"
        " WHERE projection = 'tallies' AND partition = %s RETURNING 1",
        -lacking % MODULUS,
        partition,
    )
    assert await verified(side) == [(NAME, "missing", rows[2].position), (NAME, "missing", rows[-3].position)]


async def test_every_wrong_row_is_named(side: ReadSide) -> None:
    await projected(side)
    for position in (5, 11, 33):
        tally = side.history.rows[position - 1].stream.removeprefix("tallies-")
        await side.rows("DELETE FROM blue.tallies WHERE id = %s RETURNING 1", tally)
    assert await verified(side) == [(NAME, "rows", 5), (NAME, "rows", 11), (NAME, "rows", 33)]


async def test_parked_and_skipped_events_are_accounted_for(side: ReadSide) -> None:
    await side.register()
    (first, second) = write(side, 2, by=-1)
    side.history.append(f"tallies-{first}", TallyRaised(tally_id=first, by=5))
    await side.apply(side.engine(), side.slices())
    assert await verified(side) == []
    await skip(side.pool, side.engine(), NAME, ("default", f"tallies-{first}"), 2, reason="r", actor="a")
    assert await verified(side) == []
    await retry(side.pool, side.engine(FIXED), NAME, ("default", f"tallies-{second}"))
    assert await verify_sums(side.tools()) == []


async def test_auditor_tells_in_the_background(side: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor_module, "EVERY", 0.1)
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        await side.rows("DELETE FROM blue.tallies RETURNING 1")

        async def told() -> bool:
            return "is not what the events make" in (await tools.status.readiness())["completeness"]

        await eventually(told, "what is missing is told")


@pytest.mark.parametrize(
    "wrong", ["blue.tallies SET total = total + 1", "public.checkpoints SET handled_sum = handled_sum + 1"]
)
async def test_what_was_put_right_is_told_no_longer_and_soon(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Not only when it is the partition's turn again, which may be many minutes later."""
    monkeypatch.setattr(auditor_module, "AGAIN", 0.1)
    monkeypatch.setattr(auditor_module, "EVERY", 0.1)
    await projected(side, 40)
    await side.rows(f"UPDATE {wrong} RETURNING 1")
    async with side.projector() as tools:

        async def told() -> bool:
            return bool((await tools.status.readiness())["completeness"])

        await eventually(told, "what is wrong is told")
        monkeypatch.setattr(auditor_module, "EVERY", 1_000.0)
        await side.rows(f"UPDATE {wrong.replace(' + ', ' - ')} RETURNING 1")

        async def well() -> bool:
            return not await told()

        await eventually(well, "nothing is wrong any more")


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (lambda shares: shares[3], [40]),
        (lambda shares: shares[1] + shares[2], [20, 30]),
        (sum, [10, 20, 30, 40]),
        (lambda shares: shares[0] + shares[2], []),
    ],
)
def test_run_of_events_is_told_from_its_sum(wanted: Callable[[list[int]], int], positions: list[int]) -> None:
    shares = [5, MODULUS - 3, 11, 1000]
    terms = [(10 * (index + 1), share) for index, share in enumerate(shares)]
    assert list(run_with_sum(terms, wanted(shares) % MODULUS)) == positions


SHARES = [5, MODULUS - 3, 11, 1000, 70_000, 123]
TERMS = [(10 * (index + 1), share) for index, share in enumerate(SHARES)]


@pytest.mark.parametrize(
    ("lacking", "runs"),
    [
        (11, [("missing", [30])]),
        (-1011, [("twice", [30, 40])]),
        (5 + 70_000, [("missing", [10]), ("missing", [50])]),
        (-5 - 1000, [("twice", [10]), ("twice", [40])]),
        (5 - 3 - 1000, [("missing", [10, 20]), ("twice", [40])]),
        (11 + 1000 - 123, [("missing", [30, 40]), ("twice", [60])]),
        (5 + 11 + 70_000, []),
        (4, []),
    ],
)
def test_one_run_or_two_are_told_from_what_a_sum_lacks(lacking: int, runs: list[tuple[str, list[int]]]) -> None:
    assert [(run.kind, list(run.positions)) for run in explained(TERMS, lacking)] == runs


def test_run_of_events_is_a_sentence() -> None:
    one, several = Run("missing", [7]), Run("twice", [7, 9, 12])
    assert one.detail == "the event at position 7 of the log was not handled."
    assert several.detail == "3 events from position 7 to 12 of the log were handled twice."


def test_finding_is_a_sentence() -> None:
    finding = Finding(NAME, "blue", 3, "missing", 7, "the event at position 7 of the log were not handled.")
    assert finding.sentence().startswith("tallies/blue from position 7 on: ")
