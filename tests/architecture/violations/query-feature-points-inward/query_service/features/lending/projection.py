"""A lending desk, planted to break a rule."""

from query_service.features.lending import queries

QUERIES = queries
