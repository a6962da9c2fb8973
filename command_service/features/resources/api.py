"""The routes of resources."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Request, Response

from command_service.features.resources.commands import (
    ArchiveResource,
    ChangeResourceDetails,
    DetailsPatch,
    ResourceDetails,
    RestoreResource,
)
from command_service.features.resources.domain import ArchivedResourceRefusesChanges, AttributesOutgrowTheirLimits
from command_service.features.resources.handlers import ResourceHandlers
from command_service.features.resources.permissions import ARCHIVE, CHANGE, CREATE, RESTORE
from command_service.infrastructure.answer import Accepted, changes, creates
from command_service.infrastructure.call import ChangeConditions, CreationConditions
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires
from shared_kernel.web.routes import MERGE_PATCH_TYPE

router = APIRouter(prefix="/v1/resources")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    resources: ResourceHandlers


async def handlers(request: Request) -> ResourceHandlers:
    services: Services = request.app.state.services
    return services.resources


Handlers = Annotated[ResourceHandlers, Depends(handlers)]


@router.post("", status_code=201, response_model=Accepted, responses=creates())
async def create_resource(
    details: ResourceDetails,
    principal: Annotated[Principal, requires(CREATE)],
    conditions: CreationConditions,
    resources: Handlers,
) -> Response:
    """Record a new resource, which then belongs to you."""
    answer = await resources.create(principal.user_id, details, conditions.by(principal))
    return answer.response()


@router.patch(
    "/{resource_id}",
    response_model=Accepted,
    responses=changes(ArchivedResourceRefusesChanges, AttributesOutgrowTheirLimits),
)
async def change_resource(
    resource_id: UUID,
    patch: Annotated[DetailsPatch, Body(media_type=MERGE_PATCH_TYPE)],
    principal: Annotated[Principal, requires(CHANGE)],
    conditions: ChangeConditions,
    resources: Handlers,
) -> Response:
    """Change what a resource says about itself (JSON Merge Patch, RFC 7396)."""
    answer = await resources.change_details(ChangeResourceDetails(resource_id, patch), conditions.by(principal))
    return answer.response()


@router.post("/{resource_id}/archive", response_model=Accepted, responses=changes())
async def archive_resource(
    resource_id: UUID,
    principal: Annotated[Principal, requires(ARCHIVE)],
    conditions: ChangeConditions,
    resources: Handlers,
) -> Response:
    """Put a resource away: it can still be read, and restored, but not changed."""
    answer = await resources.archive(ArchiveResource(resource_id), conditions.by(principal))
    return answer.response()


@router.post("/{resource_id}/restore", response_model=Accepted, responses=changes())
async def restore_resource(
    resource_id: UUID,
    principal: Annotated[Principal, requires(RESTORE)],
    conditions: ChangeConditions,
    resources: Handlers,
) -> Response:
    """Take an archived resource back into use."""
    answer = await resources.restore(RestoreResource(resource_id), conditions.by(principal))
    return answer.response()
