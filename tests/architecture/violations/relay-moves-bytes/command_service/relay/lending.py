"""A lending desk, planted to break a rule."""

from shared_kernel.events.registry import registry

TOPICS = registry
