"""A lending desk, planted to break a rule."""

from query_service.features.resources import projection

FOLDS = projection
