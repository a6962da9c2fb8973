"""A lending desk, planted to break a rule."""

from command_service.infrastructure.event_store.port import EventStore

STORE = EventStore
