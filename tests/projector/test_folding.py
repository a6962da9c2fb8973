"""Folding in memory: rows from events, streams set aside, and projections that misbehave."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from query_service.infrastructure.projection import Key, Projection, Row
from query_service.projector.batch import Slice
from query_service.projector.decoding import Arrival, Decoder
from query_service.projector.folding import Pass, steps_of
from query_service.projector.trouble import Trouble
from shared_kernel.events.envelope import Recorded, StoredRow
from shared_kernel.privacy.payload import PayloadCodec
from tests.support.history import History
from tests.support.tallies import PROJECTION, REGISTRY, TallyClosed, TallyOpened, TallyRaised

A, B = UUID(int=1), UUID(int=2)


class NoKeys:
    """A vault of which nothing is asked: these events have no personal fields."""

    async def keys_of(self, pairs: object) -> dict[tuple[str, str], Any]:
        raise AssertionError(f"nobody asked for {pairs}")


def arrivals(*events: TallyOpened | TallyRaised | TallyClosed) -> list[Arrival]:
    """Events as they come out of decoding, each in the stream of its tally."""
    history, codec = History(), PayloadCodec(REGISTRY)
    for event in events:
        history.append(f"tallies-{event.tally_id}", event)
    return [arrival(row, codec.decode(row, None)) for row in history.rows]


def arrival(row: StoredRow, recorded: Recorded[Any]) -> Arrival:
    return Arrival(0, row, type(recorded.event), recorded)


def opened(tally: UUID = A) -> TallyOpened:
    return TallyOpened(tally_id=tally)


def raised(by: int, tally: UUID = A) -> TallyRaised:
    return TallyRaised(tally_id=tally, by=by)


def folded(
    batch: Sequence[Arrival],
    *,
    rows: dict[Key, Row] | None = None,
    parked: Sequence[tuple[str, str]] = (),
    **change: Any,
) -> Pass:
    projection = replace(PROJECTION, **change)
    folding = Pass(projection)
    folding.begin(rows or {}, parked)
    folding.run(steps_of(projection, batch))
    return folding


def totals(folding: Pass) -> dict[Key, int | None]:
    return {key: row["total"] if row else None for key, row in folding.take_changes().items()}


def positions(folding: Pass) -> list[int]:
    return [event.row.position for event in folding.parked]


def test_events_fold_into_the_row_they_touch() -> None:
    folding = folded(arrivals(opened(), raised(2), opened(B), raised(3), raised(4, B)))
    assert totals(folding) == {("default", A): 5, ("default", B): 4}
    assert folding.parked == []


def test_loaded_rows_are_where_folding_begins() -> None:
    before = folded(arrivals(opened(), raised(7))).rows["default", A]
    assert before is not None
    folding = folded(arrivals(raised(1)), rows={("default", A): before})
    assert totals(folding) == {("default", A): 8}


def test_row_that_stays_as_it_was_is_not_written() -> None:
    row = folded(arrivals(opened())).rows["default", A]
    assert row is not None
    assert totals(folded(arrivals(opened()), rows={("default", A): row})) == {}


def test_row_that_goes_is_written_as_none() -> None:
    assert totals(folded(arrivals(opened(), TallyClosed(tally_id=A)))) == {("default", A): None}


def test_row_that_came_and_went_within_the_batch_may_come_again() -> None:
    folding = folded(arrivals(opened(), TallyClosed(tally_id=A), opened(), raised(4)))
    assert totals(folding) == {("default", A): 4}


def test_changes_are_taken_once() -> None:
    folding = folded(arrivals(opened()))
    assert totals(folding)
    assert totals(folding) == {}


def test_fold_that_raises_parks_the_event_and_all_after_it_in_its_stream() -> None:
    folding = folded(arrivals(opened(), opened(B), raised(-1), raised(5), raised(6, B), raised(7)))
    assert positions(folding) == [3, 4, 6]
    assert totals(folding) == {("default", A): 0, ("default", B): 6}


def test_reason_names_the_kind_and_the_place_but_quotes_nothing() -> None:
    (first, second) = folded(arrivals(opened(), raised(-1), raised(2))).parked
    assert first.trouble.reason.startswith("NegativeRaise in on_raised, line ")
    assert "secret" not in first.trouble.reason
    assert second.trouble == Trouble.behind()


def test_equal_causes_have_equal_fingerprints() -> None:
    first, second = folded(arrivals(opened(), opened(B), raised(-1), raised(-2, B))).parked
    assert first.trouble.fingerprint == second.trouble.fingerprint != Trouble.behind().fingerprint


def test_stream_that_is_parked_already_queues_on() -> None:
    folding = folded(arrivals(raised(1), opened(B)), parked=[("default", f"tallies-{A}")])
    assert positions(folding) == [1]
    assert totals(folding) == {("default", B): 0}


def test_event_about_a_row_that_never_was_is_parked() -> None:
    assert folded(arrivals(raised(1))).parked[0].trouble.reason.startswith("RowMissing")


def test_failure_that_passes_is_forgiven_once() -> None:
    calls = []

    def moody(row: Row | None, recorded: Recorded[Any]) -> Row | None:
        calls.append(recorded.row.position)
        if len(calls) == 1:
            raise MemoryError
        return PROJECTION.folds[TallyOpened](row, recorded)

    folding = folded(arrivals(opened()), folds={TallyOpened: moody})
    assert (calls, folding.parked) == ([1, 1], [])


@pytest.mark.parametrize("row", [{}, {"tenant": "default"}, {"too": 1, "many": 2}])
def test_row_with_other_columns_than_its_table_is_parked(row: Row) -> None:
    folding = folded(arrivals(opened()), folds={TallyOpened: lambda _, __: row})
    assert folding.parked[0].trouble.reason.startswith("WrongColumns")
    assert totals(folding) == {}


def raise_key_error(_: object) -> Key:
    raise KeyError("tenant")


@pytest.mark.parametrize("key_of", [raise_key_error, lambda _: ("default", ["a list"])])
def test_key_that_cannot_be_computed_or_used_is_parked(key_of: Any) -> None:
    assert positions(folded(arrivals(opened()), key_of=key_of)) == [1]


def test_undo_forgets_the_row_and_parks_the_stream() -> None:
    batch = arrivals(opened(), raised(2), raised(3))
    folding = Pass(PROJECTION)
    first, second, third = steps_of(PROJECTION, batch)
    folding.run([first, second])
    folding.undo(second, Trouble("unwritable", "x"))
    folding.run([third])
    assert ("default", A) not in folding.rows
    assert positions(folding) == [2, 3]


def test_events_that_no_fold_wants_are_no_steps() -> None:
    assert steps_of(replace(PROJECTION, folds={TallyClosed: PROJECTION.folds[TallyClosed]}), arrivals(opened())) == []


async def decoded(history: History, projection: Projection = PROJECTION) -> Sequence[Arrival]:
    decoder = Decoder(REGISTRY, PayloadCodec(REGISTRY), NoKeys(), frozenset(projection.folds))
    return await decoder.decode([Slice(0, 0, 1, history.rows)])


async def test_event_of_unknown_topic_concerns_every_projection() -> None:
    history = History()
    history.append_bytes("tallies-1", "tallies.TallyPainted.v1", b"{}")
    batch = await decoded(history)
    assert batch[0].trouble is not None
    assert positions(folded(batch, folds={})) == [1]


async def test_each_unknown_topic_is_a_cause_of_its_own() -> None:
    history = History()
    for stream, topic in enumerate(("TallyPainted", "TallyPainted", "TallySold")):
        history.append_bytes(f"tallies-{stream}", f"tallies.{topic}.v1", b"{}")
    painted, again, sold = [each.trouble.fingerprint for each in await decoded(history) if each.trouble]
    assert painted == again != sold


async def test_unreadable_event_concerns_only_projections_that_want_its_class() -> None:
    history = History()
    history.append_bytes("tallies-1", TallyRaised.TOPIC, b"{not json")
    batch = await decoded(history)
    assert positions(folded(batch)) == [1]
    assert positions(folded(batch, folds={TallyOpened: PROJECTION.folds[TallyOpened]})) == []


async def test_event_that_nobody_wants_is_not_even_decoded() -> None:
    history = History()
    history.append_bytes("tallies-1", TallyRaised.TOPIC, b"{not json")
    (only,) = await decoded(history, replace(PROJECTION, folds={TallyOpened: PROJECTION.folds[TallyOpened]}))
    assert (only.recorded, only.trouble, only.contract) == (None, None, TallyRaised)


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'{"tally_id": 1}', b"\xff", b'{"$sealed": ["x"]}'])
async def test_payload_of_any_other_shape_is_trouble_and_no_accident(payload: bytes) -> None:
    history = History()
    history.append_bytes("tallies-1", TallyRaised.TOPIC, payload)
    (only,) = await decoded(history)
    assert only.trouble is not None
    assert only.trouble.reason.startswith("UnreadablePayload: The event at position 1")
