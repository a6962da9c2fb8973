"""Operations: how far the read models have come."""

from query_service.features.operations.api import router
from query_service.features.operations.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("operations", (router,), PERMISSIONS, POLICIES)
