"""The features that the command service offers; a new one adds its line here."""

from command_service.features import access, accounts, operations, policies, resources, sessions
from shared_kernel.feature import Feature

FEATURES: tuple[Feature, ...] = (
    accounts.FEATURE,
    sessions.FEATURE,
    access.FEATURE,
    policies.FEATURE,
    resources.FEATURE,
    operations.FEATURE,
)
