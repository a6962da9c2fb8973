"""The questions that can be asked, one folder each; a new feature adds its line to each list here."""

from query_service.features import access, accounts, audit, operations, policies, resources, sessions
from query_service.features.access.projection import PROJECTION as ROLE_BINDINGS
from query_service.features.accounts.projection import PROJECTION as USERS
from query_service.features.audit.projection import PROJECTION as STREAM_OWNERS
from query_service.features.operations.projection import PROJECTION as OPERATIONS
from query_service.features.policies.projection import PROJECTION as POLICIES
from query_service.features.resources.projection import PROJECTION as RESOURCES
from query_service.features.sessions.projection import PROJECTION as SESSIONS

FEATURES = (
    accounts.FEATURE,
    sessions.FEATURE,
    access.FEATURE,
    policies.FEATURE,
    resources.FEATURE,
    audit.FEATURE,
    operations.FEATURE,
)

PROJECTIONS = (USERS, SESSIONS, ROLE_BINDINGS, POLICIES, RESOURCES, STREAM_OWNERS, OPERATIONS)
