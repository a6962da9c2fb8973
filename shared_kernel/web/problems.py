"""RFC 9457 problems: the ones HTTP itself causes, what a problem looks like, and how OpenAPI tells of them."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared_kernel.errors import FieldError, Refusal, TwinlogError, ValidationFailed
from shared_kernel.web.headers import documented

MEDIA_TYPE = "application/problem+json"
EXAMPLE_INSTANCE = "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057"
HEADERS_OF_STATUS = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}


class MalformedBody(TwinlogError):
    """The body does not have the form that its media type demands."""

    status = 400


class BadRequest(TwinlogError):
    """The server cannot make sense of this request."""

    status = 400


class MethodNotAllowed(TwinlogError):
    """This address does not take this method; Allow names those it takes."""

    status = 405


class RequestTimeout(TwinlogError):
    """The body did not arrive in time."""

    status = 408


class BodyTooLarge(TwinlogError):
    """The body is larger than this address accepts."""

    status = 413


class UnsupportedMediaType(TwinlogError):
    """The body's media type, charset or encoding is not one that this address takes."""

    status = 415


class UnknownParameter(ValidationFailed):
    """A query parameter is not one that this address knows."""


class HeaderFieldsTooLarge(TwinlogError):
    """The request's header fields are larger or more than this server accepts."""

    status = 431


class InternalError(TwinlogError):
    """Something went wrong on our side; the request's id helps to find out what."""

    status = 500


class ProblemError(BaseModel):
    """One value that is wrong.

    `pointer` is an RFC 6901 pointer into the body, or `/query/<name>`, `/path/<name>`, `/header/<name>`.
    """

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(examples=["/name"])
    detail: str


class Problem(BaseModel):
    """Why a request was not carried out (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`/problems/<code>`, a page that explains it.", examples=["/problems/not-found"])
    title: str = Field(description="What kind of problem this is, in the caller's language.")
    status: int = Field(description="The HTTP status.", ge=400, le=599)
    detail: str = Field(description="What happened this time, in the caller's language.")
    instance: str = Field(description="Names this one request; found in the logs.", examples=[EXAMPLE_INSTANCE])
    code: str = Field(description="What programs should look at; never changes.", examples=["not-found"])
    errors: list[ProblemError] = Field(default_factory=list, description="Which values are wrong, where that is known.")


def title_of(code: str) -> str:
    """`stale-version` as `Stale version`; translations are looked up under it."""
    return code.replace("-", " ").capitalize()


def problem_body(error: TwinlogError | type[TwinlogError], *, instance: str) -> dict[str, Any]:
    """A problem in English, for an error or for what an error of that class says by default."""
    given = error if isinstance(error, TwinlogError) else _example_of(error)
    code = given.code()
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": title_of(code),
        "status": given.status,
        "detail": given.detail,
        "instance": instance,
        "code": code,
    }
    if errors := getattr(given, "errors", ()):
        body["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in errors]
    return body


def _example_of(cls: type[TwinlogError]) -> TwinlogError:
    # An error class may demand arguments that its documentation does not need: only class and docstring speak here.
    example = cls.__new__(cls)
    TwinlogError.__init__(example)
    if isinstance(example, ValidationFailed):
        pointer = "/query/colour" if isinstance(example, UnknownParameter) else "/name"
        example.errors = (FieldError(pointer, _EXAMPLE_DETAILS.get(cls, "Field required")),)
    return example


_EXAMPLE_DETAILS: dict[type[TwinlogError], str] = {UnknownParameter: "This address has no such parameter."}


def problem_responses(*classes: type[TwinlogError]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: the errors it can answer with, grouped by status, an example each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for cls in classes:
        response = responses.setdefault(
            cls.status, {"description": "", "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": {}}}}
        )
        examples = response["content"][MEDIA_TYPE]["examples"]
        body = problem_body(cls, instance=EXAMPLE_INSTANCE)
        examples[cls.code()] = {"summary": body["title"], "value": body}
        response["description"] = "; ".join(f"`{code}`" for code in examples)
        if headers := HEADERS_OF_STATUS.get(cls.status):
            response["headers"] = documented(*headers)
    return responses


_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def known_problems() -> dict[str, type[TwinlogError]]:
    """Every problem that this process can answer with, by code, sorted."""
    found = {cls.code(): cls for cls in sorted(_answered(TwinlogError), key=_place, reverse=True)}
    return dict(sorted(found.items()))


def _answered(base: type[TwinlogError]) -> Iterator[type[TwinlogError]]:
    for cls in base.__subclasses__():
        # Status 500 marks what is never shown to a caller: it is answered as `internal-error`.
        if cls is InternalError or (cls.status != 500 and cls is not Refusal):
            yield cls
        yield from _answered(cls)


def _place(cls: type[TwinlogError]) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
