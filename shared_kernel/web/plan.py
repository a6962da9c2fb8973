"""A route's way from request to answer, worked out once: FastAPI works it out anew for every request.

A plan does what FastAPI would do, in the same order and with the same errors, for what our routes consist of: async
functions, path parameters, headers, queries, a JSON body, and an answer that is a Response. A route with anything else
has no plan and stays with FastAPI. Reading and validating values is left to FastAPI's own fields.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any
from uuid import UUID

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_typed_return_annotation, request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import PydanticUndefined
from starlette.convertors import StringConvertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared_kernel.web.arrival import CONTENT_KEY, HEADERS_KEY

NOTHING: Any = PydanticUndefined
"""FastAPI's word for a value that is not there."""

Call = Callable[..., Awaitable[Any]]
Field = Any
"""FastAPI's ModelField, which it does not export."""

_CONSTANT = (type(None), bool, int, float, str, bytes, UUID, Enum)


class Unplannable(Exception):
    """Something about a route that only FastAPI knows how to do."""


@dataclass(slots=True)
class Arrived:
    """One request on its way through a plan; `errors` are what FastAPI would have found wrong, in its own form."""

    request: Request
    headers: Mapping[bytes, bytes]
    path: Mapping[str, str]
    content: Any
    errors: list[Any] = field(default_factory=list)
    solved: dict[Call, Any] = field(default_factory=dict)


Reader = Callable[[Arrived], Any]
"""Answers a value or NOTHING, having added to `errors`."""


@dataclass(frozen=True, slots=True)
class Step:
    """One function to call: first what it depends on, then its values. `repeated`: the plan holds it more than once."""

    call: Call
    name: str | None
    before: tuple["Step", ...]
    of_path: tuple[tuple[str, Reader], ...]
    queries: list[Field]
    of_head_and_body: tuple[tuple[str, Reader], ...]
    request_name: str | None
    repeated: bool

    async def values(self, arrived: Arrived) -> dict[str, Any] | None:
        """The arguments; None when some of them could not be had, which stands in `errors`."""
        known, values = len(arrived.errors), {}
        for step in self.before:
            solved = await step.solve(arrived)
            if step.name is not None:
                values[step.name] = solved
        return self._read(arrived, values, known)

    def _read(self, arrived: Arrived, values: dict[str, Any], known: int) -> dict[str, Any] | None:
        """The same for what the request itself holds; `known` errors are of before."""
        for name, read in self.of_path:
            values[name] = read(arrived)
        if self.queries:
            found, errors = request_params_to_args(self.queries, arrived.request.query_params)
            values |= found
            arrived.errors += errors
        for name, read in self.of_head_and_body:
            values[name] = read(arrived)
        if self.request_name is not None:
            values[self.request_name] = arrived.request
        return values if len(arrived.errors) == known else None

    async def solve(self, arrived: Arrived) -> Any:
        """The function's own value, which other functions get as an argument."""
        if self.repeated and self.call in arrived.solved:
            return arrived.solved[self.call]
        known = len(arrived.errors)
        values = await self.values(arrived) if self.before else self._read(arrived, {}, known)
        if values is None:
            return NOTHING
        solved = await self.call(**values)
        if self.repeated:
            arrived.solved[self.call] = solved
        return solved


class Plan:
    """Answers requests to one route. The edge has matched the path, checked the body and left both in the scope."""

    def __init__(self, route: APIRoute) -> None:
        """Raises Unplannable."""
        _require(_answers_with_response(route.endpoint), "the answer is not a Response")
        _require(all(type(each) is StringConvertor for each in route.param_convertors.values()), "converted paths")
        _require(route.body_field is None or _is_json(route), "the body is not JSON")
        self._pattern = route.path_regex
        self._root = _step(route.dependant, _repeated(route.dependant))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises RequestValidationError and whatever the functions of the route raise."""
        matched = self._pattern.match(scope["path"])
        path = scope["path_params"] = matched.groupdict() if matched else {}
        content = scope.get(CONTENT_KEY, NOTHING)
        root, arrived = self._root, Arrived(Request(scope, receive, send), scope[HEADERS_KEY], path, content)
        values = await root.values(arrived)
        if values is None:
            raise RequestValidationError(arrived.errors, body=None if content is NOTHING else content)
        response: Response = await root.call(**values)
        await response(scope, receive, send)


def plan_of(route: object) -> Plan | None:
    """None for a route that has to stay with FastAPI."""
    if not isinstance(route, APIRoute):
        return None
    try:
        return Plan(route)
    except Unplannable:
        return None


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise Unplannable(otherwise)


def _answers_with_response(endpoint: Call) -> bool:
    answer = get_typed_return_annotation(endpoint)
    return isinstance(answer, type) and issubclass(answer, Response)


def _is_json(route: APIRoute) -> bool:
    # What FastAPI would read as JSON: everything else it hands on as bytes, or reads as a form.
    info = getattr(route.body_field, "field_info", None)
    media_type = str(getattr(info, "media_type", ""))
    plain = isinstance(info, params.Body) and not isinstance(info, params.Form)
    single = len(route.dependant.body_params) == 1 and route.body_field is route.dependant.body_params[0]
    return plain and single and (media_type == "application/json" or media_type.endswith("+json"))


def _walk(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _walk(each)


def _repeated(dependant: Dependant) -> frozenset[object]:
    calls = [each.call for each in _walk(dependant) if each.use_cache]
    return frozenset(call for call in calls if calls.count(call) > 1)


def _step(dependant: Dependant, repeated: frozenset[object]) -> Step:
    call = dependant.call
    if call is None or not _is_coroutine(call):
        raise Unplannable("a function that is not async")
    special = (
        *(dependant.cookie_params, dependant.websocket_param_name, dependant.http_connection_param_name),
        *(dependant.response_param_name, dependant.background_tasks_param_name),
        *(dependant.security_scopes_param_name, dependant.own_oauth_scopes, dependant.concurrency),
    )
    _require(not any(special), "a function with arguments that only FastAPI can give")
    return Step(
        call=call,
        name=dependant.name,
        before=tuple(_step(each, repeated) for each in dependant.dependencies),
        of_path=tuple((each.name, _path_reader(each, _name_of(each))) for each in dependant.path_params),
        queries=list(dependant.query_params),
        of_head_and_body=tuple(_readers(dependant)),
        request_name=dependant.request_param_name,
        repeated=dependant.use_cache and call in repeated,
    )


def _is_coroutine(call: Callable[..., object]) -> bool:
    called = call if iscoroutinefunction(call) else type(call).__call__
    return iscoroutinefunction(called) and not isasyncgenfunction(called)


def _readers(dependant: Dependant) -> Iterator[tuple[str, Reader]]:
    for each in dependant.header_params:
        yield each.name, _header_reader(each, _name_of(each))
    for each in dependant.body_params:
        yield each.name, _content_reader(each)


def _name_of(given: Field) -> str:
    """How a request names the value. Raises Unplannable for what may have several names or values."""
    info = given.field_info
    plain = given.config is None and (info.validation_alias is None or info.validation_alias == given.alias)
    _require(plain, "a value with several names")
    _require(not _may_be_many(info.annotation), "a value that may be a list or a model")
    return str(given.alias)


def _may_be_many(annotation: Any) -> bool:
    parts = getattr(annotation, "__args__", ())
    many = isinstance(annotation, type) and (
        hasattr(annotation, "model_fields") or issubclass(annotation, list | tuple | set | frozenset | dict)
    )
    return many or hasattr(annotation, "__origin__") or any(map(_may_be_many, parts))


def _path_reader(given: Field, name: str) -> Reader:
    def read(arrived: Arrived) -> Any:
        return _validated(given, arrived.path[name], ("path", name), arrived)

    return read


def _header_reader(given: Field, name: str) -> Reader:
    key, absent = name.lower().encode("latin-1"), _default(given, ("header", name))

    def read(arrived: Arrived) -> Any:
        value = arrived.headers.get(key)
        if value is None:
            return absent(arrived)
        return _validated(given, value.decode("latin-1"), ("header", name), arrived)

    return read


def _content_reader(given: Field) -> Reader:
    absent = _default(given, ("body",))

    def read(arrived: Arrived) -> Any:
        return absent(arrived) if arrived.content is NOTHING else _validated(given, arrived.content, ("body",), arrived)

    return read


def _validated(given: Field, value: Any, place: tuple[str, ...], arrived: Arrived) -> Any:
    valid, errors = given.validate(value, {}, loc=place)
    arrived.errors += errors
    return valid


def _default(given: Field, place: tuple[str, ...]) -> Reader:
    """What a value is that did not come. One that cannot change is made only once."""
    info = given.field_info
    if info.is_required():
        missing = {"type": "missing", "loc": place, "msg": "Field required", "input": None}
        return lambda arrived: arrived.errors.append(missing)
    _require(not info.validate_default, "a default that must be validated")
    value = given.get_default()
    return (lambda _: value) if _is_constant(value) else (lambda _: deepcopy(given.get_default()))


def _is_constant(value: object) -> bool:
    made = getattr(type(value), "__dataclass_params__", None)
    return isinstance(value, _CONSTANT) or bool(made and made.frozen)
