"""The OpenAPI document: what FastAPI finds, with permissions, problems and response headers of every route."""

import importlib
import sys
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import RouteContext

from shared_kernel.auth.elevation import StepUpRequired
from shared_kernel.errors import (
    Forbidden,
    RateLimited,
    ServiceUnavailable,
    TwinlogError,
    Unauthenticated,
    ValidationFailed,
)
from shared_kernel.web.headers import RESPONSE_HEADERS, MalformedHeader
from shared_kernel.web.links import connect
from shared_kernel.web.problems import (
    BodyTooLarge,
    InternalError,
    MalformedBody,
    Problem,
    UnknownParameter,
    UnsupportedMediaType,
    problem_responses,
)
from shared_kernel.web.routes import JSON_TYPE, MERGE_PATCH_TYPE, Body, Manners, api_routes, manners_of

SECURITY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The access token from `POST /v1/token`.",
}
OAUTH_STATUSES = (400, 413, 415, 429, 500, 503)
ALWAYS_SENT = ("X-Request-ID", "X-Correlation-ID")
FASTAPI_SCHEMAS = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> dict[str, Any]:
    """The whole document; the same application gives the same document."""
    raw = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    for route in api_routes(app):
        if getattr(route, "include_in_schema", True):
            for method in route.methods or ():
                _complete(raw["paths"][route.path_format][method.lower()], manners_of(route, 0), route)
    connect(raw["paths"])
    return _with_components(raw)


def openapi_document(app: FastAPI) -> bytes:
    """The document as it is committed: UTF-8 JSON, keys sorted, indented, ending in a line break."""
    return orjson.dumps(document(app), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _complete(operation: dict[str, Any], manners: Manners, route: RouteContext) -> None:
    operation["operationId"] = route.name
    operation |= _guarded(manners)
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status, response in (_oauth_responses() if manners.oauth else _common(manners)).items():
        _merge(responses, str(status), response)
    operation["responses"] = dict(sorted(responses.items()))
    for response in operation["responses"].values():
        headers = response.setdefault("headers", {})
        headers.update({name: {"$ref": f"#/components/headers/{name}"} for name in ALWAYS_SENT})
    _offer_plain_json(operation)


def _guarded(manners: Manners) -> dict[str, Any]:
    """What a caller needs: a token, a permission, and fresh proof."""
    found: dict[str, Any] = {"security": [{"bearer": []}] if manners.permission else []}
    if manners.permission:
        found["x-permission"] = str(manners.permission)
    if manners.step_up:
        found["x-step-up"] = manners.step_up.value
    return found


def _common(manners: Manners) -> dict[int | str, dict[str, Any]]:
    """The problems that any route like this can answer with, whatever it does."""
    problems: list[type[TwinlogError]] = [MalformedHeader, ValidationFailed, UnknownParameter]
    problems += [RateLimited, InternalError, ServiceUnavailable]
    if manners.permission:
        problems += [Unauthenticated, Forbidden]
    if manners.step_up:
        problems += [StepUpRequired]
    if manners.body is not Body.NONE:
        problems += [MalformedBody, BodyTooLarge, UnsupportedMediaType]
    return problem_responses(*problems)


def _oauth_responses() -> dict[int | str, dict[str, Any]]:
    example = {"error": "invalid_request", "error_description": "The body is not what this address takes."}
    content = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/OAuthError"}, "example": example}}
    return {
        status: {"description": "An error as RFC 6749 defines it.", "content": content} for status in OAUTH_STATUSES
    }


def _merge(responses: dict[str, Any], status: str, response: dict[str, Any]) -> None:
    """Add what every route can answer to what this route says itself, which may name more problems of its own."""
    own = responses.get(status)
    if own is None:
        responses[status] = {**response}
        return
    for media_type, added in response.get("content", {}).items():
        media = own.setdefault("content", {}).setdefault(media_type, {"schema": added["schema"]})
        if "examples" in added:
            media["examples"] = {**added["examples"], **media.get("examples", {})}
            own["description"] = "; ".join(f"`{code}`" for code in media["examples"])
    own.setdefault("headers", {}).update(response.get("headers", {}))


def _offer_plain_json(operation: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {})
    if MERGE_PATCH_TYPE in content:
        content.setdefault(JSON_TYPE, content[MERGE_PATCH_TYPE])


def _with_components(raw: dict[str, Any]) -> dict[str, Any]:
    components = raw.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in FASTAPI_SCHEMAS:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    schemas["OAuthError"] = {
        "type": "object",
        "description": "RFC 6749, section 5.2.",
        "required": ["error"],
        "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    }
    components["headers"] = {name: dict(RESPONSE_HEADERS[name]) for name in ALWAYS_SENT}
    components["securitySchemes"] = {"bearer": SECURITY_SCHEME}
    return raw


def main(arguments: list[str]) -> int:
    """`python -m shared_kernel.web.openapi <module>:<function>`: print the document of the application it makes."""
    if len(arguments) != 1 or ":" not in arguments[0]:
        sys.stderr.write("usage: python -m shared_kernel.web.openapi <module>:<function that takes the services>\n")
        return 2
    module, _, function = arguments[0].partition(":")
    # No service is needed to describe the routes: they reach theirs only while a request is answered.
    app: FastAPI = getattr(importlib.import_module(module), function)(None)
    sys.stdout.buffer.write(openapi_document(app))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
