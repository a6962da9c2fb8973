"""What can be asked about tenants and roles, and the values it is asked with."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator

from shared_kernel.text import slug

TenantSlug = Annotated[str, AfterValidator(slug)]


class Role(StrEnum):
    """What a user may be; a registered user is a member without being told."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """Open a tenant: a world of its own for users and what they own."""

    slug: str


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Let a user hold a role."""

    user_id: UUID
    role: Role


@dataclass(frozen=True, slots=True)
class WithdrawRole:
    """Take a role from a user."""

    user_id: UUID
    role: Role
