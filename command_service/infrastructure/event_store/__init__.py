"""The event store; with `PERSISTENCE_MODULE` set to this module's path it serves any `eventsourcing` application."""

from command_service.infrastructure.event_store.factory import Factory
from command_service.infrastructure.event_store.store import PostgresEventStore

__all__ = ["Factory", "PostgresEventStore"]
