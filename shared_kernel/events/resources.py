"""Events of a resource, the example business object; stream `resources-<resource_id>`."""

from typing import Any, ClassVar
from uuid import UUID

from shared_kernel.events.contract import Event


class ResourceCreated(Event):
    """Somebody recorded a new resource and owns it."""

    TOPIC: ClassVar[str] = "resources.ResourceCreated.v1"

    resource_id: UUID
    owner: UUID
    name: str
    description: str
    classification: str
    attributes: dict[str, Any]
    tags: tuple[str, ...]


class ResourceDetailsChanged(Event):
    """Details of a resource changed; a field that is None stayed; `attributes` and `tags` are whole values."""

    TOPIC: ClassVar[str] = "resources.ResourceDetailsChanged.v1"

    resource_id: UUID
    name: str | None = None
    description: str | None = None
    classification: str | None = None
    attributes: dict[str, Any] | None = None
    tags: tuple[str, ...] | None = None


class ResourceArchived(Event):
    """A resource was put away; it can be read and restored, not changed."""

    TOPIC: ClassVar[str] = "resources.ResourceArchived.v1"

    resource_id: UUID


class ResourceRestored(Event):
    """An archived resource is in use again."""

    TOPIC: ClassVar[str] = "resources.ResourceRestored.v1"

    resource_id: UUID
