"""The question how far the read models have come."""

from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from query_service.features.operations.permissions import READ_PROJECTIONS
from query_service.features.operations.queries import parked_by_projection, rebuilds
from query_service.features.operations.views import LagView, ProjectionList, ProjectionView, RebuildView
from query_service.infrastructure.progress import Progress
from query_service.infrastructure.reading import ReadingOf, read_responses
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter()


@router.get("/v1/projections", response_model=ProjectionList, responses=read_responses())
async def list_projections(_caller: Annotated[Principal, requires(READ_PROJECTIONS)], reading: ReadingOf) -> Response:
    """Every projection with its generation, its position, how far it is behind, and what is parked."""
    progress = await reading.reach_list(*reading.progress.live)
    parked = await parked_by_projection(reading.database)
    rebuilt = await rebuilds(reading.database)
    late = reading.services.freshness.seconds_behind
    items = (
        _view(progress, name, parked.get(name, 0), late(name), rebuilt.get(name)) for name in sorted(progress.live)
    )
    return reading.answer(ProjectionList(items=tuple(items)))


def _view(progress: Progress, name: str, parked: int, seconds: float, rebuild: RebuildView | None) -> ProjectionView:
    live = progress.of(name)
    return ProjectionView(
        name=name,
        generation=live.generation,
        version=live.version,
        position=progress.horizon(name),
        lag=LagView(positions=progress.lag(name), seconds=seconds),
        parked=parked,
        rebuild=rebuild,
    )
