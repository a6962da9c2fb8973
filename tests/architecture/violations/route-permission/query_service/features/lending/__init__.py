"""A lending desk, planted to break a rule."""

from query_service.features.lending.api import router
from shared_kernel.feature import Feature

FEATURE = Feature(name="lending", routers=(router,))
