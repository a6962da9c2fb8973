"""The stream of its own on which operators' requests travel, so that a projector that is stuck still hears them."""

OPERATIONS_KEY = "events:operations"
"""Entries are the same as in the partitions' streams, under the same ids."""

OPERATIONS_PREFIX = "operations-"
"""How the log's streams of operators' requests are called."""

KEPT = 10_000
"""How many entries are kept, about."""
