"""One transaction per batch: what it writes, what fences it, and what it sets aside."""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from query_service.infrastructure.projection import Row, existing
from query_service.projector.batch import NotTheLog
from query_service.projector.checkpoints import LOG, Fenced, Unit
from shared_kernel.events.envelope import Recorded
from tests.support.history import sealed
from tests.support.read_side import ReadSide
from tests.support.tallies import PROJECTION, TallyClosed, TallyNoted, TallyOpened, TallyRaised

TALLIES = Unit("tallies", "blue")


def open_and_raise(side: ReadSide, *steps: int) -> UUID:
    tally = uuid4()
    stream = f"tallies-{tally}"
    side.history.append(stream, TallyOpened(tally_id=tally), *(TallyRaised(tally_id=tally, by=by) for by in steps))
    return tally


async def test_batch_writes_rows_audit_copy_and_checkpoints(side: ReadSide) -> None:
    await side.register()
    tallies = [open_and_raise(side, 1, 2, n) for n in range(5)]
    await side.apply(side.engine(), side.slices())
    assert await side.totals() == {str(tally): 3 + n for n, tally in enumerate(tallies)}
    assert await side.positions(TALLIES) == await side.positions(LOG) == side.history.last()
    copied = await side.rows("SELECT position, leaf_hash, payload, actor FROM public.audit_events ORDER BY position")
    assert copied == [(row.position, row.leaf_hash, row.payload, "system:test") for row in side.history.rows]


async def test_row_is_carried_from_batch_to_batch_with_every_column_type(side: ReadSide) -> None:
    await side.register()
    engine = side.engine()
    tally = open_and_raise(side, 4)
    await side.apply(engine, side.slices())
    before = len(side.history.rows)
    side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=5), TallyNoted(tally_id=tally, note="ü'\\"))
    await side.apply(engine, side.slices(before))
    rows = await side.rows("SELECT total, steps, details, note, version FROM blue.tallies")
    assert rows == [(9, [4, 5], {"by": "system:test"}, "ü'\\", 4)]


async def test_closed_tally_loses_its_row_even_within_the_batch_that_made_it(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side, 1)
    side.history.append(f"tallies-{tally}", TallyClosed(tally_id=tally))
    await side.apply(side.engine(), side.slices())
    assert await side.totals() == {}


async def test_changed_event_is_refused_before_anything_happens(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side, 1)
    forged = side.history.rows[1]._replace(payload=b'{"by": 1000}')
    side.history.rows[1] = forged
    with pytest.raises(NotTheLog, match="position 2 was changed"):
        await side.apply(side.engine(), side.slices())
    assert await side.totals() == {}


async def test_event_of_another_partition_is_refused(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side, 1)
    (batch,) = side.slices()
    elsewhere = (batch.partition + 1) % side.history.partitions
    with pytest.raises(NotTheLog, match="does not belong"):
        await side.apply(side.engine(), [replace(batch, partition=elsewhere)])


async def test_audit_copy_refuses_another_event_at_a_taken_position(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side, 1)
    await side.apply(side.engine(), side.slices())
    other = sealed(side.history.rows[0]._replace(payload=b"{}"))
    first = side.slices(0, 1)[0]
    await side.rows("UPDATE public.checkpoints SET position = 0 RETURNING 1")
    with pytest.raises(NotTheLog, match="another event"):
        await side.apply(side.engine(), [replace(first, rows=[other])])


async def test_audit_copy_accepts_the_same_events_again(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side, 1)
    await side.apply(side.engine(), side.slices())
    await side.rows("UPDATE public.checkpoints SET position = 0 RETURNING 1")
    await side.apply(side.engine(), side.slices())
    assert await side.rows("SELECT count(*) FROM public.audit_events") == [(2,)]


async def test_sum_of_handled_events_needs_no_order(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side, 1, 2, 3)
    await side.apply(side.engine(), side.slices(0, 2))
    await side.apply(side.engine(), side.slices(2))
    expected = sum(
        int.from_bytes(hashlib.sha256(row.position.to_bytes(8, "big") + row.leaf_hash).digest(), "big")
        for row in side.history.rows
    )
    sums = await side.rows("SELECT DISTINCT handled_sum FROM public.checkpoints WHERE position > 0")
    assert [int(value) for (value,) in sums] == [expected % 2**256]


async def test_poison_event_parks_its_stream_and_lets_the_others_flow(side: ReadSide) -> None:
    await side.register()
    engine = side.engine()
    healthy, sick = open_and_raise(side, 1), open_and_raise(side, 2)
    side.history.append(f"tallies-{sick}", TallyRaised(tally_id=sick, by=-1), TallyRaised(tally_id=sick, by=5))
    await side.apply(engine, side.slices())
    before = len(side.history.rows)
    side.history.append(f"tallies-{sick}", TallyRaised(tally_id=sick, by=7))
    side.history.append(f"tallies-{healthy}", TallyRaised(tally_id=healthy, by=7))
    await side.apply(engine, side.slices(before))
    assert await side.totals() == {str(healthy): 8, str(sick): 2}
    parked = await side.rows("SELECT position, version, reason FROM public.parked_events ORDER BY position")
    assert [(position, version) for position, version, _ in parked] == [(5, 3), (6, 4), (7, 5)]
    assert await side.positions(TALLIES) == side.history.last()
    assert "secret" not in str(parked)


async def test_unstorable_row_parks_its_stream_and_lets_the_others_flow(side: ReadSide) -> None:
    await side.register()
    healthy, nul, huge = open_and_raise(side, 1), open_and_raise(side, 2), open_and_raise(side, 3)
    side.history.append(f"tallies-{nul}", TallyNoted(tally_id=nul, note="a\x00b"), TallyRaised(tally_id=nul, by=1))
    side.history.append(f"tallies-{huge}", TallyRaised(tally_id=huge, by=999_999))
    side.history.append(f"tallies-{healthy}", TallyRaised(tally_id=healthy, by=1))
    await side.apply(side.engine(), side.slices())
    assert await side.totals() == {str(healthy): 2, str(nul): 2, str(huge): 3}
    parked = await side.rows("SELECT position, reason FROM public.parked_events ORDER BY position")
    assert [position for position, _ in parked] == [7, 8, 9]
    assert "tallies_total_small" in parked[2][1]


async def test_unknown_topic_and_unreadable_payload_park_their_streams(side: ReadSide) -> None:
    await side.register()
    unknown, broken, healthy = open_and_raise(side), open_and_raise(side), open_and_raise(side)
    side.history.append_bytes(f"tallies-{unknown}", "tallies.TallyPainted.v1", b"{}")
    side.history.append_bytes(f"tallies-{broken}", TallyRaised.TOPIC, b'{"tally_id": "no')
    for tally in (unknown, broken, healthy):
        side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=3))
    await side.apply(side.engine(), side.slices())
    assert await side.totals() == {str(unknown): 0, str(broken): 0, str(healthy): 3}
    reasons = await side.rows("SELECT position, reason FROM public.parked_events ORDER BY position")
    assert [position for position, _ in reasons] == [4, 5, 6, 7]
    assert reasons[0][1].startswith("UnknownTopic")
    assert reasons[1][1].startswith("UnreadablePayload")


async def test_parked_events_are_missing_from_the_sum_of_handled_events(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side, 1)
    side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=-1))
    await side.apply(side.engine(), side.slices())
    sums = dict(
        await side.rows("SELECT projection, handled_sum FROM public.checkpoints WHERE position > 0 ORDER BY projection")
    )
    poison = side.history.rows[2]
    missing = hashlib.sha256(poison.position.to_bytes(8, "big") + poison.leaf_hash).digest()
    assert (int(sums[LOG.projection]) - int(sums["tallies"])) % 2**256 == int.from_bytes(missing, "big")


async def test_projection_whose_keys_have_the_wrong_type_is_refused_not_half_applied(side: ReadSide) -> None:
    await side.register()
    engine = side.engine(replace(PROJECTION, key_of=lambda r: (r.row.tenant, str(r.event.tally_id))))
    tally = open_and_raise(side)
    await side.apply(side.engine(), side.slices())
    before = len(side.history.rows)
    side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=1))
    await side.apply(engine, side.slices(before))
    ((reason,),) = await side.rows("SELECT reason FROM public.parked_events")
    assert reason.startswith("BrokenProjection")


async def test_audit_copy_refuses_a_second_event_of_the_same_version(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side)
    await side.apply(side.engine(), side.slices())
    first = side.history.rows[0]
    side.history.rows.append(sealed(first._replace(position=2, event_id=tally)))
    with pytest.raises(NotTheLog, match="audit_events_stream_version_uq"):
        await side.apply(side.engine(), side.slices(1))


async def test_event_whose_metadata_nobody_can_read_is_copied_all_the_same(side: ReadSide) -> None:
    await side.register()
    side.history.append_bytes("things-1", "tallies.TallyPainted.v1", b"{}")
    side.history.rows[0] = sealed(side.history.rows[0]._replace(metadata=b"\xff"))
    await side.apply(side.engine(), side.slices())
    assert await side.rows("SELECT metadata, actor, correlation_id FROM public.audit_events") == [(b"\xff", None, None)]


async def test_row_that_json_does_not_know_parks_its_stream(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side, 1)

    def oddly(row: Row | None, _: Recorded[TallyRaised]) -> Row:
        return {**existing(row), "details": {"set": {1, 2}}}

    odd: Any = {**PROJECTION.folds, TallyRaised: oddly}
    await side.apply(side.engine(replace(PROJECTION, folds=odd)), side.slices())
    assert await side.totals() == {str(tally): 0}
    ((reason,),) = await side.rows("SELECT reason FROM public.parked_events")
    assert reason.endswith("cannot be stored: Type is not JSON serializable: set.")


async def test_key_that_json_does_not_know_parks_its_stream(side: ReadSide) -> None:
    await side.register()
    open_and_raise(side)
    await side.apply(side.engine(replace(PROJECTION, key_of=lambda _: ("default", frozenset()))), side.slices())
    ((reason,),) = await side.rows("SELECT reason FROM public.parked_events")
    assert reason.endswith("cannot be stored: Type is not JSON serializable: frozenset.")


async def test_projection_that_only_another_release_knows_is_not_moved_on(side: ReadSide) -> None:
    await side.register(PROJECTION, replace(PROJECTION, name="others"))
    open_and_raise(side, 1)
    await side.apply(side.engine(), side.slices())
    assert await side.positions(TALLIES) == side.history.last()
    assert await side.positions(Unit("others", "blue")) == [0] * side.history.partitions


async def test_checkpoint_that_vanished_fences_the_batch(side: ReadSide) -> None:
    open_and_raise(side, 1)
    with pytest.raises(Fenced):
        await side.apply(side.engine(), side.slices())
