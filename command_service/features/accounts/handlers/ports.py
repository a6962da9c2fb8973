"""What these handlers need of others."""

from typing import Protocol
from uuid import UUID

from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim


class SessionEnding(Protocol):
    """Whoever can end a user's sessions."""

    async def end_sessions_of(
        self, tenant: str, user_id: UUID, reason: str, *, call: Call | None = None, spare: UUID | None = None
    ) -> list[Answer]: ...


class Admission(Protocol):
    """Whoever knows whether a tenant lets anybody register, and which invitations count."""

    async def claims_of_registration(self, tenant: str, code: str) -> tuple[Claim, ...] | None:
        """What a registration in this tenant must hold; None when it needs an invitation that this code is not."""
        ...


class Attempts(Protocol):
    """Whoever counts attempts to prove who one is, so that guessing is slow."""

    async def count(self, tenant: str, whose: str, network: str | None = None) -> None:
        """Raises RateLimited after too many, and ServiceUnavailable when they cannot be counted."""
        ...

    async def forgive(self, tenant: str, whose: str, network: str | None = None) -> None:
        """The attempt that was counted last proved right."""
        ...


class AddressBook(Protocol):
    """Whoever knows under which key an address is claimed."""

    def key_of(self, tenant: str, email: str) -> str: ...
