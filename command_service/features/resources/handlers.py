"""From a command about a resource to its answer."""

from uuid import UUID

from command_service.features.resources.commands import (
    ArchiveResource,
    ChangeResourceDetails,
    CreateResource,
    ResourceDetails,
    RestoreResource,
)
from command_service.features.resources.domain import (
    Resource,
    State,
    archive_resource,
    change_resource_details,
    create_resource,
    evolve,
    restore_resource,
)
from command_service.features.resources.permissions import ARCHIVE, CHANGE, RESTORE
from command_service.infrastructure.aggregate import Aggregate, SnapshotPolicy
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.policy import ObjectAttributes


def attributes_of(resource: Resource, tenant: str) -> ObjectAttributes:
    """What a policy may know of a resource."""
    return ObjectAttributes(CHANGE.kind, tenant, resource.owner, resource.state, resource.classification)


RESOURCES = Aggregate(
    "resources",
    evolve,
    attributes_of,
    snapshots=SnapshotPolicy(Resource, shape=1),
    closed=lambda resource: resource.state is State.ARCHIVED,
)


class ResourceHandlers:
    """Carries out what can be asked of a resource."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def create(self, owner: UUID, details: ResourceDetails, call: Call) -> Answer:
        command = CreateResource(self._execution.ids.new(), owner, details)
        location = f"/v1/resources/{command.resource_id}"
        work = RESOURCES.creation(command.resource_id, create_resource, command, location=location)
        return await self._execution.run(work, call)

    async def change_details(self, command: ChangeResourceDetails, call: Call) -> Answer:
        work = RESOURCES.change(command.resource_id, change_resource_details, command, CHANGE)
        return await self._execution.run(work, call)

    async def archive(self, command: ArchiveResource, call: Call) -> Answer:
        work = RESOURCES.change(command.resource_id, archive_resource, command, ARCHIVE)
        return await self._execution.run(work, call)

    async def restore(self, command: RestoreResource, call: Call) -> Answer:
        work = RESOURCES.change(command.resource_id, restore_resource, command, RESTORE)
        return await self._execution.run(work, call)
