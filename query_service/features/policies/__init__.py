"""A tenant's own policies, as those see them who may."""

from query_service.features.policies.api import router
from query_service.features.policies.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("policies", (router,), PERMISSIONS, POLICIES)
