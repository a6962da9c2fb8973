"""The event store; with `PERSISTENCE_MODULE` set to this module's path it serves any `eventsourcing` application."""
