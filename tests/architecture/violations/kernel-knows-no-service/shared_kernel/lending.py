"""A lending desk, planted to break a rule."""

from query_service.infrastructure.projection import Table

TABLE = Table
