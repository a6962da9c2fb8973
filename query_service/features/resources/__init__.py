"""Resources: the example business object, one by one, in lists and with its history."""

from query_service.features.resources.api import router
from query_service.features.resources.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("resources", (router,), PERMISSIONS, POLICIES)
