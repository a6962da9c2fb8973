"""How a route says who may call it: `requires(PERMISSION)` or `public()`, exactly one of them."""

from typing import Any, Protocol

from fastapi import Depends, Request

from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Permission


class Gate(Protocol):
    """The way in: authenticates, limits the rate and authorises by role; services offer it as `services.gate`."""

    async def admit(self, request: Request, permission: Permission) -> Principal:
        """Raises Unauthenticated, Forbidden, or another error with its own status."""
        ...

    async def pass_public(self, request: Request) -> None:
        """Limits the rate of a public route by address; raises when it is exceeded."""
        ...


class RequiresPermission:
    """The dependency behind `requires`; the start-up check reads `permission` from it."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Principal:
        gate: Gate = request.app.state.services.gate
        return await gate.admit(request, self.permission)


class PublicRoute:
    """The dependency behind `public`."""

    async def __call__(self, request: Request) -> None:
        gate: Gate = request.app.state.services.gate
        await gate.pass_public(request)


def requires(permission: Permission) -> Any:
    """Only callers with this permission get through.

    Write `principal: Annotated[Principal, requires(CREATE)]`.
    """
    return Depends(RequiresPermission(permission))


def public() -> Any:
    """For `dependencies=[public()]`: anybody may call this route."""
    return Depends(PublicRoute())
