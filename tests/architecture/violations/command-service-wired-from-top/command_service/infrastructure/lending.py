"""A lending desk, planted to break a rule."""

from command_service.features.resources import domain

RULES = domain
