"""Audit: who did what, from the query side's own copy of the log."""

from query_service.features.audit.api import router
from query_service.features.audit.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("audit", (router,), PERMISSIONS, POLICIES)
