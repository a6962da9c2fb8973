"""Sessions: the sign-ins of the caller."""

from query_service.features.sessions.api import router
from query_service.features.sessions.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("sessions", (router,), PERMISSIONS, POLICIES)
