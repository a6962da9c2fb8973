"""What can be asked about tenants, invitations and roles, and the values it is asked with."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared_kernel.text import slug

TenantSlug = Annotated[str, AfterValidator(slug)]


class Role(StrEnum):
    """What a user may be; a registered user is a member without being told."""

    ADMIN = "admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    MEMBER = "member"


class RegistrationRule(BaseModel):
    """Whether a tenant lets in only those whom its administrators have invited."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"invitation_only": True}]})

    invitation_only: bool


class InvitationDetails(BaseModel):
    """For how long the code of a new invitation counts: an hour to thirty days, a week unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"hours": 48}]})

    hours: int = Field(default=168, ge=1, le=720)

    @property
    def lifetime(self) -> timedelta:
        return timedelta(hours=self.hours)


@dataclass(frozen=True, slots=True)
class CreateTenant:
    """Open a tenant: a world of its own for users and what they own."""

    slug: str
    invitation_only: bool = False


@dataclass(frozen=True, slots=True)
class ChangeRegistration:
    """Say whether those who register in a tenant need an invitation."""

    invitation_only: bool


@dataclass(frozen=True, slots=True)
class ChangeSecondFactor:
    """Say whether roles count in a tenant only for whoever signs in with a second factor."""

    required: bool


@dataclass(frozen=True, slots=True)
class IssueInvitation:
    """Let one person register with the code of this hash."""

    invitation_id: UUID
    code_hash: str = field(repr=False)
    lifetime: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WithdrawInvitation:
    """Let the code of an invitation count no more."""

    invitation_id: UUID


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
