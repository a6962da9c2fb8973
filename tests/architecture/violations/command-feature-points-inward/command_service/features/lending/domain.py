"""A lending desk, planted to break a rule."""

from command_service.features.lending import handlers

HANDLERS = handlers
