"""What was skipped is skipped for good, whatever a later release makes of it."""

from typing import ClassVar
from uuid import UUID, uuid4

import pytest

from query_service.projector.decoding import Decoder
from query_service.projector.engine import Engine
from query_service.projector.parked_retry import skip
from query_service.projector.rebuild import rebuild
from query_service.projector.verification import verify_sums
from shared_kernel.events.contract import Event
from shared_kernel.events.registry import Registry
from shared_kernel.privacy.payload import PayloadCodec
from tests.projector.test_completeness import verified
from tests.projector.test_control import NAME, write
from tests.support.read_side import ReadSide
from tests.support.tallies import PROJECTION, REGISTRY


class TallyPainted(Event):
    """What only the next release knows, and the tallies have no use for."""

    TOPIC: ClassVar[str] = "tallies.TallyPainted.v1"

    tally_id: UUID


@pytest.mark.parametrize("count", [0, 3], ids=["alone", "among others"])
async def test_event_that_was_skipped_is_skipped_too_where_no_fold_asks_for_it_any_more(
    side: ReadSide, count: int
) -> None:
    await side.register()
    (tally,) = write(side, 1) if count else (uuid4(),)
    painted = side.history.append(f"tallies-{tally}", TallyPainted(tally_id=tally))[0]
    write(side, count)
    await side.apply(side.engine(), side.slices())
    stream = ("default", painted.stream)
    await skip(side.pool, side.engine(), NAME, stream, painted.position, reason="of the next release", actor="ada")
    assert await verified(side) == []
    registry = Registry((*REGISTRY.by_topic.values(), TallyPainted))
    decoder = Decoder(registry, PayloadCodec(registry), side.vault, frozenset(PROJECTION.folds))
    await rebuild(side.tools(), Engine([PROJECTION], decoder, side.history.partitions), [PROJECTION])
    assert await verify_sums(side.tools()) == []
