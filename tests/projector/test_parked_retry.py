"""Parked events: tried again with pauses, retried on demand, rehearsed, skipped with a reason."""

from uuid import UUID

import psycopg
import pytest

from query_service.projector import parked_retry
from query_service.projector.checkpoints import Unit
from query_service.projector.decoding import Decoder
from query_service.projector.engine import Engine
from query_service.projector.parked_retry import NothingParked, NotTheFirst, retry, retry_due, skip
from query_service.projector.rebuild import rebuild
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.events.upcasters import Upcaster
from shared_kernel.privacy.payload import PayloadCodec
from tests.projector.test_control import FIXED, write
from tests.projector.test_personal_fields import signed_without_being_opened
from tests.support.cluster import Database, Vault
from tests.support.read_side import Interrupted, ReadSide
from tests.support.tallies import PROJECTION, REGISTRY, TallyRaised

NAME = "tallies"
LIVE = Unit(NAME, "blue")


async def parked(side: ReadSide) -> tuple[UUID, tuple[str, str]]:
    """A stream of which the second event is poison and the third waits behind it."""
    await side.register()
    (tally,) = write(side, 1, by=-1)
    side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=5))
    write(side, 3)
    await side.apply(side.engine(), side.slices())
    return tally, ("default", f"tallies-{tally}")


async def sums_are_whole(side: ReadSide) -> bool:
    """What is handled adds up to the same as in the audit copy."""
    return not await side.rows(
        "SELECT 1 FROM public.checkpoints AS own JOIN public.checkpoints AS log USING (partition)"
        " WHERE own.projection = 'tallies' AND log.projection = 'audit_events' AND own.handled_sum <> log.handled_sum"
    )


async def test_retry_with_the_same_code_parks_again_and_counts(side: ReadSide) -> None:
    _, stream = await parked(side)
    (outcome,) = await retry(side.pool, side.engine(), NAME, stream)
    assert (outcome.handled, outcome.parked, outcome.stopped_at) == (0, 2, 2)
    assert outcome.reason.startswith("NegativeRaise")
    assert await side.rows("SELECT position, attempts FROM public.parked_events ORDER BY position") == [(2, 2), (3, 1)]


async def test_retry_applies_upcasters_that_came_later(side: ReadSide) -> None:
    await side.register()
    (tally,) = write(side, 1)
    old = b'{"tally_id": "%s", "amount": 7}' % str(tally).encode()
    side.history.append_bytes(f"tallies-{tally}", "tallies.TallyRaised.v0", old)
    await side.apply(side.engine(), side.slices())
    stream = ("default", f"tallies-{tally}")
    (still,) = await retry(side.pool, side.engine(), NAME, stream)
    assert (still.handled, still.parked) == (0, 1)
    steps: dict[str, Upcaster] = {
        "tallies.TallyRaised.v0": lambda data: (TallyRaised.TOPIC, {"tally_id": data["tally_id"], "by": data["amount"]})
    }
    decoder = Decoder(REGISTRY, PayloadCodec(REGISTRY, steps), side.vault, frozenset(PROJECTION.folds))
    (outcome,) = await retry(side.pool, Engine([PROJECTION], decoder, side.history.partitions), NAME, stream)
    assert (outcome.handled, outcome.parked) == (1, 0)
    assert await side.totals() == {str(tally): 8}


async def test_rehearsed_retry_tells_how_it_would_go_and_changes_nothing(side: ReadSide) -> None:
    tally, stream = await parked(side)
    (outcome,) = await retry(side.pool, side.engine(FIXED), NAME, stream, dry_run=True)
    assert (outcome.handled, outcome.parked) == (2, 0)
    assert (await side.totals())[str(tally)] == 0
    assert await side.rows("SELECT count(*) FROM public.parked_events") == [(2,)]


async def test_retry_completes_rows_and_sums_in_both_generations(side: ReadSide) -> None:
    tally, stream = await parked(side)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert not await sums_are_whole(side)
    outcomes = await retry(side.pool, side.engine(FIXED), NAME, stream)
    assert [(each.generation, each.handled, each.parked) for each in outcomes] == [("blue", 2, 0), ("green", 2, 0)]
    assert (await side.totals("blue"))[str(tally)] == (await side.totals("green"))[str(tally)] == 6
    assert await sums_are_whole(side)


async def test_skipped_event_is_left_out_and_what_waits_goes_on(side: ReadSide) -> None:
    tally, stream = await parked(side)
    (outcome,) = await skip(side.pool, side.engine(), NAME, stream, 2, reason="faulty import", actor="ada")
    assert (outcome.handled, outcome.parked) == (1, 0)
    assert (await side.totals())[str(tally)] == 5
    assert await side.rows("SELECT position, reason, actor FROM public.skipped_events") == [(2, "faulty import", "ada")]
    await rebuild(side.tools(), side.engine(FIXED), [PROJECTION])
    assert (await side.totals("green"))[str(tally)] == 5, "a rebuild does without it too, even with fixed code"


async def test_only_the_first_parked_event_can_be_skipped(side: ReadSide) -> None:
    _, stream = await parked(side)
    with pytest.raises(NotTheFirst, match="position 2"):
        await skip(side.pool, side.engine(), NAME, stream, 3, reason="r", actor="a")
    assert await side.rows("SELECT count(*) FROM public.skipped_events") == [(0,)]


async def test_nothing_parked_is_nothing_to_try_or_to_skip(side: ReadSide) -> None:
    await parked(side)
    with pytest.raises(NothingParked):
        await retry(side.pool, side.engine(), NAME, ("default", "tallies-nothing"))
    with pytest.raises(NothingParked):
        await skip(side.pool, side.engine(), NAME, ("default", "tallies-nothing"), 1, reason="r", actor="a")


async def test_parked_events_are_tried_again_with_growing_pauses_then_wait(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    await parked(side)
    assert await retry_due(side.pool, side.engine(), {NAME: PROJECTION}) == 0, "the first pause is not over"
    monkeypatch.setattr(parked_retry, "FIRST_PAUSE", 0.0)
    tried = [await retry_due(side.pool, side.engine(), {NAME: PROJECTION}) for _ in range(6)]
    assert tried == [1, 1, 1, 1, 0, 0]
    assert await side.rows("SELECT attempts FROM public.parked_events WHERE position = 2") == [(5,)]


async def test_passing_trouble_heals_by_itself(side: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    tally, _ = await parked(side)
    monkeypatch.setattr(parked_retry, "FIRST_PAUSE", 0.0)
    assert await retry_due(side.pool, side.engine(FIXED), {NAME: PROJECTION}) == 1
    assert (await side.totals())[str(tally)] == 6


async def test_stream_that_cannot_be_tried_counts_and_does_not_hold_up_the_others(
    side: ReadSide, query_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await parked(side)
    write(side, 5, by=-1)
    await side.apply(side.engine(), side.slices(9))
    with psycopg.connect(query_database.owner_url) as connection:
        connection.execute("UPDATE public.audit_events SET payload = '{}' WHERE position = 2")
    monkeypatch.setattr(parked_retry, "FIRST_PAUSE", 0.0)
    tried = [await retry_due(side.pool, side.engine(), {NAME: PROJECTION}) for _ in range(6)]
    assert tried == [6, 6, 6, 6, 0, 0]
    assert await side.rows(
        "SELECT position, attempts, reason LIKE %s FROM public.parked_events"
        " WHERE fingerprint <> 'behind' ORDER BY position",
        "NotTheLog: The event at position 2 was%",
    ) == [(2, 5, True), *((position, 5, False) for position in (11, 13, 15, 17, 19))]


async def test_vault_that_is_away_is_no_fault_of_a_parked_stream(
    side: ReadSide, vault_database: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    await side.register()
    stream = await signed_without_being_opened(side, vault_database)
    await side.apply(side.engine(), side.slices())
    monkeypatch.setattr(parked_retry, "FIRST_PAUSE", 0.0)
    side.vault = Interrupted(side.vault, away=True)
    with pytest.raises(ServiceUnavailable):
        await retry_due(side.pool, side.engine(), {NAME: PROJECTION})
    assert await side.rows("SELECT stream, attempts FROM public.parked_events") == [(stream, 1)]
