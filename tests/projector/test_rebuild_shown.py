"""How a rebuild goes is told where an operator looks: how far it is, how fast, and when it will be done."""

import asyncio

import pytest
from rich.progress import Progress

from query_service.cli.projections import Rate
from query_service.features import PROJECTIONS
from query_service.projector.overview import overview
from tests.support.chain import run_twinlog, said_by_twinlog
from tests.support.read_side import ReadSide

HALF_WAY = (
    """
    INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)
    SELECT 'resources', 'green', partition, 500, epoch FROM public.checkpoints WHERE projection = 'audit_events'
    RETURNING 1
    """,
    "UPDATE public.checkpoints SET position = 2000 WHERE projection = 'audit_events' RETURNING 1",
    """
    INSERT INTO public.rebuilds (projection, generation, at_once, state, going_since, worked_seconds)
    VALUES ('resources', 'green', false, 'running', now(), 5) RETURNING 1
    """,
)
"""500 of 2,000 events in five seconds: a hundred in each, and fifteen seconds are left."""


@pytest.fixture
async def half_way(side: ReadSide) -> None:
    """A query database in which the resources are being rebuilt."""
    await side.register(*PROJECTIONS)
    for statement in HALF_WAY:
        await side.rows(statement)


@pytest.mark.usefixtures("half_way")
async def test_overview_has_how_far_and_how_fast_a_rebuild_is(side: ReadSide) -> None:
    found = {each.name: each for each in await overview(side.tools(*PROJECTIONS))}
    assert found["users"].rebuild is None
    rebuild = found["resources"].rebuild
    assert rebuild is not None
    assert (rebuild.state, rebuild.generation, rebuild.done, rebuild.total) == ("running", "green", 500, 2000)
    assert 10 < rebuild.per_second <= 100
    assert rebuild.seconds_left == pytest.approx(1500 / rebuild.per_second, rel=0.02)


@pytest.mark.usefixtures("half_way")
def test_status_tells_machines_how_a_rebuild_goes(variables: dict[str, str]) -> None:
    code, answer = run_twinlog(variables, "projections", "status")
    assert code == 0
    found = {each["name"]: each["rebuild"] for each in answer["projections"]}
    assert found["users"] is None
    assert (found["resources"]["state"], found["resources"]["done"], found["resources"]["total"]) == (
        "running",
        500,
        2000,
    )
    assert found["resources"]["per_second"] > 0
    assert found["resources"]["seconds_left"] > 0


@pytest.mark.usefixtures("half_way")
def test_status_shows_people_the_rebuilds_under_way(variables: dict[str, str]) -> None:
    said, _ = said_by_twinlog(variables, "projections", "status")
    _, shown = said.split("Rebuilds under way")
    for words in ("resources", "green", "running", "500 of 2,000", "per second", "0:00:"):
        assert words in shown


@pytest.mark.parametrize(("state", "shown"), [("paused", True), ("built", True), ("switched", False)])
@pytest.mark.usefixtures("half_way")
async def test_only_rebuilds_that_somebody_may_still_act_on_are_shown(
    side: ReadSide, variables: dict[str, str], state: str, shown: bool
) -> None:
    await side.rows(f"UPDATE public.rebuilds SET state = '{state}' RETURNING 1")  # noqa: S608 - a constant
    said, _ = await asyncio.to_thread(said_by_twinlog, variables, "projections", "status")
    assert ("Rebuilds under way" in said) is shown


def test_progress_in_the_foreground_has_a_rate() -> None:
    now = [0.0]
    bar = Progress(Rate(), get_time=lambda: now[0], disable=True)
    task = bar.add_task("replaying", total=10_000)
    assert str(Rate().render(bar.tasks[0])) == ""
    for _ in range(4):
        now[0] += 1.0
        bar.update(task, advance=2_000)
    assert str(Rate().render(bar.tasks[0])) == "2,000 per second"
