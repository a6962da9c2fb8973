"""How a route says who may call it: `requires(PERMISSION)` or `public()`, exactly one of them."""

from typing import Any, Protocol

from fastapi import Depends, Request

from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Permission


class Gate(Protocol):
    """The way in: authenticates, limits the rate and authorises by role; services offer it as `services.gate`."""

    async def admit(self, request: Request, permission: Permission, cost: int) -> Principal:
        """Raises Unauthenticated, RateLimited, Forbidden, or another error with its own status.

        `cost` is how many ordinary requests this one counts for.
        """
        ...

    def require_elevation(self, principal: Principal, step_up: StepUp) -> None:
        """Raises StepUpRequired unless the caller has proved just now, in this session, who they are."""
        ...

    async def pass_public(self, request: Request, cost: int) -> None:
        """Limits the rate of a public route by address. Raises RateLimited when it is exceeded."""
        ...


class RequiresPermission:
    """The dependency behind `requires`; the start-up check reads `permission` from it."""

    def __init__(self, permission: Permission, *, step_up: StepUp | None = None, cost: int = 1) -> None:
        self.permission = permission
        self.step_up = step_up
        self.cost = cost

    async def __call__(self, request: Request) -> Principal:
        gate: Gate = request.app.state.services.gate
        principal = await gate.admit(request, self.permission, self.cost)
        if self.step_up is not None:
            gate.require_elevation(principal, self.step_up)
        return principal


class PublicRoute:
    """The dependency behind `public`."""

    def __init__(self, cost: int = 1) -> None:
        self.cost = cost

    async def __call__(self, request: Request) -> None:
        gate: Gate = request.app.state.services.gate
        await gate.pass_public(request, self.cost)


def requires(permission: Permission, *, step_up: StepUp | None = None, cost: int = 1) -> Any:
    """Only callers with this permission get through, and with `step_up` only with fresh proof of who they are.

    Write `principal: Annotated[Principal, requires(CREATE)]`; `cost` says how many ordinary requests it counts for.
    """
    return Depends(RequiresPermission(permission, step_up=step_up, cost=cost))


def public(*, cost: int = 1) -> Any:
    """For `dependencies=[public()]`: anybody may call this route; it counts for `cost` ordinary requests."""
    return Depends(PublicRoute(cost))
