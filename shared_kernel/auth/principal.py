"""The authenticated caller, as both services see it."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Principal:
    """Taken from a verified access token; `auth_time` is seconds since 1970, `acr` the assurance of the sign-in.

    `roles` are those of version `roles_version` of the user's roles here; 0 when they come from elsewhere.
    """

    user_id: UUID
    tenant: str
    session_id: UUID
    roles: tuple[str, ...]
    acr: str
    auth_time: int
    roles_version: int = 0

    @property
    def actor(self) -> str:
        """What event metadata and decision logs call this caller."""
        return str(self.user_id)
