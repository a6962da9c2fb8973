"""What the routes of an application declare, read once: for the checks before a route and for those at start."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from fastapi import FastAPI, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from shared_kernel.auth.elevation import StepUp
from shared_kernel.errors import StartupRefused
from shared_kernel.feature import Permission
from shared_kernel.web.access import PublicRoute, RequiresPermission
from shared_kernel.web.plan import Plan, plan_of

JSON_TYPE = "application/json"
MERGE_PATCH_TYPE = "application/merge-patch+json"
FORM_TYPE = "application/x-www-form-urlencoded"

PLUMBING = frozenset(
    {
        *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{asset}"),
        *("/problems/{code}", "/.well-known/api-catalog"),
    }
)
"""The kernel's own addresses: they show nothing that needs a permission and guard themselves where they must."""

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Addresses that machines ask every few seconds; their requests are logged at debug only."""


class Body(Enum):
    """What a route does with a body."""

    NONE = "none"
    JSON = "json"
    FORM = "form"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Manners:
    """What one route takes: names of query parameters (`repeatable` ones too), kind, media types and size of a body."""

    template: str
    query: frozenset[str]
    repeatable: frozenset[str]
    body: Body
    media_types: tuple[str, ...]
    max_body_bytes: int
    permission: Permission | None
    step_up: StepUp | None = None
    route: BaseRoute | None = None
    """The route itself, when a request may be taken to it without asking the router."""
    plan: Plan | None = None
    """How to carry the route out without FastAPI, where that is possible."""

    @property
    def quiet(self) -> bool:
        return self.template in QUIET

    @property
    def oauth(self) -> bool:
        """Routes that take forms are OAuth endpoints, whose errors RFC 6749 defines."""
        return self.body is Body.FORM


class RouteTable:
    """Finds the manners of the route that will answer a request, by the rules of the router: first match wins."""

    def __init__(self, app: FastAPI, max_body_bytes: int) -> None:
        own = {id(route) for route in app.routes}
        self._rows = [
            (
                set(each.methods or ()),
                each.path_regex,
                _open_ended(each),
                _reached(manners_of(each, max_body_bytes), each.route if id(each.route) in own else None),
            )
            for each in _routes(app)
        ]
        self._likely: dict[tuple[str, int], list[tuple[re.Pattern[str], Manners]]] = {}

    def find(self, method: str, path: str) -> Manners | None:
        """None when no route takes this method at this path."""
        key = (method, path.count("/"))
        candidates = self._likely.get(key)
        if candidates is None:
            candidates = self._select(*key)
        for pattern, manners in candidates:
            if pattern.match(path):
                return manners
        return None

    def allowed(self, path: str) -> list[str]:
        """The methods that this path takes, sorted; empty when nothing lives there."""
        return sorted({method for methods, pattern, *_ in self._rows if pattern.match(path) for method in methods})

    def _select(self, method: str, depth: int) -> list[tuple[re.Pattern[str], Manners]]:
        selected = [
            (pattern, manners)
            for methods, pattern, open_ended, manners in self._rows
            if method in methods and (open_ended or manners.template.count("/") == depth)
        ]
        # Only combinations that exist are kept, so that strange requests cannot make the table grow.
        if selected and depth <= 16:
            self._likely[(method, depth)] = selected
        return selected


def _reached(manners: Manners, route: BaseRoute | None) -> Manners:
    # A route inside an included router is not given here: it needs what that router adds on the way.
    return replace(manners, route=route, plan=plan_of(route))


def manners_of(route: RouteContext, max_body_bytes: int) -> Manners:
    """Read what a route declares."""
    dependant: Dependant | None = getattr(route, "dependant", None)
    body, media_types = _body_of(route)
    query = list(_query_fields(dependant)) if dependant else []
    return Manners(
        template=route.path or "",
        query=frozenset(name for name, _ in query),
        repeatable=frozenset(name for name, many in query if many),
        body=body,
        media_types=media_types,
        max_body_bytes=getattr(route, "max_body_size", None) or max_body_bytes,
        permission=next(iter(_permissions(dependant)), None),
        step_up=next(_proofs(dependant), None),
    )


def undeclared_routes(app: FastAPI) -> list[str]:
    """Routes that do not say exactly once who may call them, as `GET /v1/x: why`; with any, it must not run."""
    return [f"{_title(route)}: {fault}" for route in _routes(app, mounted=True) if (fault := _fault(route))]


def refuse_undeclared_routes(app: FastAPI) -> None:
    """Raises StartupRefused that names each route without exactly one permission, and each operation id given twice."""
    faults = undeclared_routes(app)
    names: dict[str, str] = {}
    for route in _routes(app):
        if getattr(route, "dependant", None) is None:
            continue
        other = names.setdefault(str(route.name), _title(route))
        if other != _title(route):
            faults.append(f"{_title(route)}: the function name {route.name} is already used by {other}")
    if faults:
        raise StartupRefused("Every route names exactly one permission or is public: " + "; ".join(faults))


def protection_of(route: RouteContext) -> tuple[list[Permission], int]:
    """The permissions that a route names, and how often it says that it is public."""
    dependant: Dependant | None = getattr(route, "dependant", None)
    return list(_permissions(dependant)), sum(isinstance(each.call, PublicRoute) for each in _tree(dependant))


def api_routes(app: FastAPI) -> Iterator[RouteContext]:
    """The routes that features and services declare, without the kernel's own."""
    return (route for route in _routes(app) if getattr(route, "dependant", None) is not None)


def _fault(route: RouteContext) -> str | None:
    if route.path in PLUMBING:
        return None
    permissions, public = protection_of(route)
    if len(permissions) + public == 1:
        return None
    if not permissions and not public:
        return "names no permission and is not declared public"
    return f"names {len(permissions)} permissions and is declared public {public} times"


def _title(route: RouteContext) -> str:
    return f"{','.join(sorted(route.methods or {'*'}))} {route.path}"


def _routes(app: FastAPI, *, mounted: bool = False) -> Iterator[RouteContext]:
    # `app.routes` keeps included routers unflattened; only this iterator sees the routes inside them.
    return (route for route in iter_route_contexts(app.routes) if mounted or route.methods)


def _tree(dependant: Dependant | None) -> Iterator[Dependant]:
    if dependant is not None:
        yield dependant
        for each in dependant.dependencies:
            yield from _tree(each)


def _proofs(dependant: Dependant | None) -> Iterator[StepUp]:
    for each in _tree(dependant):
        if isinstance(each.call, RequiresPermission) and each.call.step_up is not None:
            yield each.call.step_up


def _permissions(dependant: Dependant | None) -> Iterator[Permission]:
    return (each.call.permission for each in _tree(dependant) if isinstance(each.call, RequiresPermission))


def _query_fields(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for each in _tree(dependant):
        for field in each.query_params:
            model = getattr(field.field_info.annotation, "model_fields", None)
            if isinstance(model, dict):
                yield from ((info.alias or name, _is_many(info.annotation)) for name, info in model.items())
            else:
                yield field.alias, _is_many(field.field_info.annotation)


def _is_many(annotation: Any) -> bool:
    shown = str(annotation)
    return any(kind in shown for kind in ("list[", "tuple[", "set[", "Sequence["))


def _body_of(route: RouteContext) -> tuple[Body, tuple[str, ...]]:
    field = getattr(route, "body_field", None)
    if field is None:
        declared = _declared_content(getattr(route, "openapi_extra", None) or {})
        return (Body.STREAM, tuple(declared)) if declared else (Body.NONE, (JSON_TYPE,))
    info = field.field_info
    if isinstance(info, params.File):
        return Body.STREAM, ("multipart/form-data",)
    if isinstance(info, params.Form):
        return Body.FORM, (FORM_TYPE,)
    media_type = str(info.media_type)
    return Body.JSON, tuple(dict.fromkeys((media_type, JSON_TYPE)))


def _declared_content(openapi_extra: Mapping[str, Any]) -> Iterable[str]:
    # A route that reads the request's stream itself says so in its OpenAPI: FastAPI cannot know.
    content: Mapping[str, Any] = openapi_extra.get("requestBody", {}).get("content", {})
    return content


def _open_ended(route: RouteContext) -> bool:
    return ":path}" in (route.path or "")
