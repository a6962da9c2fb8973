"""How a route says who may call it: `requires(PERMISSION)` or `public()`, exactly one of them."""

from typing import Any, Protocol

from fastapi import Depends, Request

from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Permission


class Gate(Protocol):
    """The way in: authenticates, limits the rate and authorises by role; services offer it as `services.gate`."""

    async def admit(self, request: Request, permission: Permission) -> Principal:
        """Raises Unauthenticated, Forbidden, or another error with its own status."""
        ...

    def require_elevation(self, principal: Principal, step_up: StepUp) -> None:
        """Raises StepUpRequired unless the caller has proved just now, in this session, who they are."""
        ...

    async def pass_public(self, request: Request) -> None:
        """Limits the rate of a public route by address; raises when it is exceeded."""
        ...


class RequiresPermission:
    """The dependency behind `requires`; the start-up check reads `permission` from it."""

    def __init__(self, permission: Permission, *, step_up: StepUp | None = None) -> None:
        self.permission = permission
        self.step_up = step_up

    async def __call__(self, request: Request) -> Principal:
        gate: Gate = request.app.state.services.gate
        principal = await gate.admit(request, self.permission)
        if self.step_up is not None:
            gate.require_elevation(principal, self.step_up)
        return principal


class PublicRoute:
    """The dependency behind `public`."""

    async def __call__(self, request: Request) -> None:
        gate: Gate = request.app.state.services.gate
        await gate.pass_public(request)


def requires(permission: Permission, *, step_up: StepUp | None = None) -> Any:
    """Only callers with this permission get through, and with `step_up` only with fresh proof of who they are.

    Write `principal: Annotated[Principal, requires(CREATE)]`.
    """
    return Depends(RequiresPermission(permission, step_up=step_up))


def public() -> Any:
    """For `dependencies=[public()]`: anybody may call this route."""
    return Depends(PublicRoute())
