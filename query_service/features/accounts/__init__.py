"""Accounts: who is registered, and the caller's own account."""

from query_service.features.accounts.api import router
from query_service.features.accounts.permissions import PERMISSIONS, POLICIES
from shared_kernel.feature import Feature

FEATURE = Feature("accounts", (router,), PERMISSIONS, POLICIES)
