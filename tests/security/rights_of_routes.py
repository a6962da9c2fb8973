"""The rights of every route of both services, as design and documents promise them; a new route is to be added here."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Right:
    """What holders of a role may do (or, with "deny", never do), and where."""

    role: str
    condition: str = "any"
    effect: str = "allow"


@dataclass(frozen=True, slots=True)
class Route:
    """`public` asks nobody who they are; `machines` is for the services themselves, and no person's token opens it.

    `step_up` is the proof that it asks for, "unless current" for none about the session that asks; `own_only` lists
    nobody else's, whatever a tenant's policies say.
    """

    permission: str = ""
    rights: tuple[Right, ...] = ()
    step_up: str | None = None
    public: bool = False
    machines: bool = False
    own_only: bool = False


PUBLIC = Route(public=True)
MACHINES = Route(machines=True)


def only(permission: str, *roles: str, step_up: str | None = None) -> Route:
    """For holders of these roles, whatever of their tenant it is about."""
    return Route(permission, tuple(Right(role) for role in roles), step_up)


def yours(permission: str, *others: str, step_up: str | None = None) -> Route:
    """For everybody about themselves, and for holders of other roles about everybody."""
    return Route(permission, (Right("*", "own"), *(Right(role) for role in others)), step_up)


def owners(permission: str, *others: str) -> Route:
    """For members about their own things, and for holders of other roles about all of the tenant."""
    return Route(permission, (Right("member", "own"), *(Right(role) for role in others)))


OPERATE = only("projections:operate", "operator", "admin", step_up="recent")

COMMANDS: Mapping[str, Route] = {
    "GET /.well-known/jwks.json": PUBLIC,
    "GET /.well-known/oauth-authorization-server": PUBLIC,
    "POST /v1/users": PUBLIC,
    "POST /v1/token": PUBLIC,
    "POST /v1/token/revoke": PUBLIC,
    "GET /v1/feed": MACHINES,
    "GET /v1/feed/sums": MACHINES,
    "POST /v1/operations": MACHINES,
    "PATCH /v1/me": yours("accounts:change-profile"),
    "PUT /v1/me/password": yours("accounts:change-password"),
    "POST /v1/me/totp": yours("totp:enrol", step_up="recent"),
    "PUT /v1/me/totp": yours("totp:activate"),
    "DELETE /v1/me/totp": yours("totp:remove", step_up="always"),
    "POST /v1/step-up": yours("sessions:step-up"),
    "DELETE /v1/sessions": yours("sessions:end", "admin", step_up="recent"),
    "DELETE /v1/sessions/{session_id}": yours("sessions:end", "admin", step_up="unless current"),
    "PUT /v1/users/{user_id}/suspension": only("accounts:suspend", "admin"),
    "DELETE /v1/users/{user_id}/suspension": only("accounts:reinstate", "admin"),
    "PUT /v1/users/{user_id}/roles/{role}": only("roles:grant", "admin", step_up="recent"),
    "DELETE /v1/users/{user_id}/roles/{role}": only("roles:withdraw", "admin", step_up="recent"),
    "PUT /v1/tenant/registration": only("tenants:set-registration", "admin", step_up="recent"),
    "POST /v1/invitations": only("invitations:issue", "admin"),
    "DELETE /v1/invitations/{invitation_id}": only("invitations:withdraw", "admin"),
    "POST /v1/policies": only("policies:add", "admin", step_up="recent"),
    "DELETE /v1/policies/{policy_id}": only("policies:remove", "admin", step_up="recent"),
    "POST /v1/resources": only("resources:create", "member", "admin"),
    "PATCH /v1/resources/{resource_id}": owners("resources:change", "admin"),
    "POST /v1/resources/{resource_id}/archive": owners("resources:archive", "admin"),
    "POST /v1/resources/{resource_id}/restore": owners("resources:restore", "admin"),
    "POST /v1/projections/{name}/rebuild": OPERATE,
    "POST /v1/projections/{name}/parked/retry": OPERATE,
    "POST /v1/projections/{name}/parked/skip": OPERATE,
    "POST /v1/projections/{name}/{action}": OPERATE,
}

QUESTIONS: Mapping[str, Route] = {
    "GET /v1/me": Route("accounts:read-own", (Right("*"),)),
    "GET /v1/me/sessions": Route("sessions:read-own", (Right("*", "own"),), own_only=True),
    "GET /v1/users": only("accounts:read", "auditor", "admin"),
    "GET /v1/users/{user_id}": only("accounts:read", "auditor", "admin"),
    "GET /v1/policies": only("policies:read", "auditor", "admin"),
    "GET /v1/policies/{policy_id}": only("policies:read", "auditor", "admin"),
    "GET /v1/projections": only("operations:read-projections", "operator", "auditor", "admin"),
    "GET /v1/resources": Route("resources:read", (Right("member", "visible"), Right("auditor"), Right("admin"))),
    "GET /v1/resources/{resource_id}": Route(
        "resources:read", (Right("member", "visible"), Right("auditor"), Right("admin"))
    ),
    "GET /v1/resources/{resource_id}/history": owners("resources:read-history", "auditor", "admin"),
    "GET /v1/events": owners("audit:read", "auditor", "admin"),
    "GET /v1/events/{position}": owners("audit:read", "auditor", "admin"),
}

PLUMBING = frozenset(
    {
        *("GET /healthz", "GET /readyz", "GET /metrics", "GET /docs", "GET /docs/{asset}", "GET /openapi.json"),
        *("GET /problems/{code}", "GET /.well-known/api-catalog"),
    }
)
"""Of both services, and for everybody (metrics: on this machine); no right of anybody is behind them."""

ROUTES: Mapping[str, Route] = {**COMMANDS, **QUESTIONS}
