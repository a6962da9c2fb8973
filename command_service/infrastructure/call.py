"""On whose behalf, and under which conditions of the caller, a command is carried out."""

from dataclasses import dataclass, field, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import PlainValidator, WithJsonSchema

from shared_kernel.auth.principal import Principal
from shared_kernel.text import slug
from shared_kernel.web.arrival import body_of
from shared_kernel.web.headers import IdempotencyKeyHeader, IfMatch, IfMatchHeader, MalformedHeader

ANONYMOUS = "anonymous"
DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Call:
    """`actor` is whom the log names; `scope` whose idempotency keys these are (the two differ at registration).

    `request` is what an idempotency key stands for: method, path, condition and body.
    """

    tenant: str
    actor: str
    scope: str
    principal: Principal | None = None
    if_match: IfMatch = field(default_factory=IfMatch)
    idempotency_key: str | None = None
    request: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def of_user(cls, tenant: str, user_id: UUID) -> "Call":
        """A call of somebody who has just proved who they are."""
        return cls(tenant, str(user_id), str(user_id))

    @classmethod
    def of_system(cls, tenant: str, what: str) -> "Call":
        """A call that no user made, such as one from the command line."""
        return cls(tenant, f"system:{what}", f"system:{what}")

    def named(self, user_id: UUID) -> "Call":
        """The same call once it is known who the anonymous caller is."""
        return replace(self, actor=str(user_id)) if self.actor == ANONYMOUS else self


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a request's headers ask of the command's carrying out."""

    if_match: IfMatch
    idempotency_key: str | None
    request: tuple[bytes, ...] = field(repr=False)

    def by(self, principal: Principal) -> Call:
        """The call of a signed-in user."""
        actor = principal.actor
        return Call(principal.tenant, actor, actor, principal, self.if_match, self.idempotency_key, self.request)

    def by_anybody(self, tenant: str) -> Call:
        """The call of somebody who has not signed in."""
        return Call(tenant, ANONYMOUS, ANONYMOUS, None, self.if_match, self.idempotency_key, self.request)


async def _of_creation(request: Request, idempotency_key: IdempotencyKeyHeader) -> Conditions:
    return await _conditions(request, IfMatch(), idempotency_key)


async def _of_change(request: Request, if_match: IfMatchHeader, idempotency_key: IdempotencyKeyHeader) -> Conditions:
    return await _conditions(request, if_match, idempotency_key)


async def _conditions(request: Request, if_match: IfMatch, idempotency_key: str | None) -> Conditions:
    if idempotency_key is None:
        return Conditions(if_match, None, ())
    scope = request.scope
    line = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"]
    condition = request.headers.get("if-match", "").encode()
    return Conditions(if_match, idempotency_key, (line, condition, await body_of(request)))


CreationConditions = Annotated[Conditions, Depends(_of_creation)]
"""`conditions: CreationConditions` in a route that makes something new."""

ChangeConditions = Annotated[Conditions, Depends(_of_change)]
"""`conditions: ChangeConditions` in a route that changes what is there."""


def _tenant(value: str) -> str:
    try:
        return slug(value)
    except ValueError:
        raise MalformedHeader("Tenant takes lower-case letters, digits and inner hyphens, at most 63.") from None


TenantHeader = Annotated[
    str,
    Header(alias="Tenant", description="Which tenant to register or sign in with."),
    PlainValidator(_tenant),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "examples": ["default"]}),
]
"""`tenant: TenantHeader = DEFAULT_TENANT` in a route for people who have no token yet."""
