"""Turns whatever went wrong into an answer: problem+json, or RFC 6749 errors where OAuth demands them."""

from collections.abc import Mapping
from typing import Any

import orjson
import psycopg
import redis.exceptions
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared_kernel.errors import (
    FieldError,
    Forbidden,
    Message,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    TwinlogError,
    Unauthenticated,
    ValidationFailed,
)
from shared_kernel.observability import get_logger
from shared_kernel.web.context import current
from shared_kernel.web.problems import (
    MEDIA_TYPE,
    BadRequest,
    BodyTooLarge,
    InternalError,
    MalformedBody,
    MethodNotAllowed,
    UnsupportedMediaType,
    problem_body,
)
from shared_kernel.web.translation import Catalogue

BY_STATUS: Mapping[int, type[TwinlogError]] = {
    cls.status: cls
    for cls in (
        *(Unauthenticated, Forbidden, NotFound, MethodNotAllowed, BodyTooLarge, UnsupportedMediaType),
        *(ValidationFailed, RateLimited, ServiceUnavailable),
    )
}
UNREACHABLE = (
    psycopg.OperationalError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    ConnectionError,
    TimeoutError,
)
"""What stores and sockets raise when they are away for a moment: the caller may simply try again."""

_LOCATIONS = {"query", "path", "header", "cookie"}
_log = get_logger("twinlog.web")


class Answers:
    """Makes the answer for an error, in one of the languages of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def to(self, error: Exception, accept_language: str | None, *, oauth: bool = False) -> Response:
        """The response for any error; what is not the caller's business is logged and said in general terms."""
        known = as_twinlog_error(error)
        if known.status >= 500:
            _report(error, known)
        headers = {**_default_headers(known), **known.headers}
        if oauth:
            return _oauth_answer(known, headers)
        language = self.catalogue.choose(accept_language)
        body = self._said(problem_body(known, instance=f"urn:uuid:{current().request_id}"), language)
        headers |= {"Content-Language": language, "Vary": "Accept-Language"}
        return Response(orjson.dumps(body), known.status, headers, media_type=MEDIA_TYPE)

    def _said(self, body: dict[str, Any], language: str) -> dict[str, Any]:
        body["title"] = self.catalogue.say(body["title"], language)
        body["detail"] = str(self.catalogue.say(body["detail"], language))
        for each in body.get("errors", ()):
            each["detail"] = str(self.catalogue.say(each["detail"], language))
        return body


def as_twinlog_error(error: Exception) -> TwinlogError:
    """The error that the caller is told of; anything unexpected becomes InternalError."""
    if isinstance(error, TwinlogError):
        return InternalError() if error.status == 500 else error
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(error)
    return ServiceUnavailable() if isinstance(error, UNREACHABLE) else InternalError()


def _of_http(error: HTTPException) -> TwinlogError:
    if error.status_code >= 500 and error.status_code != 503:
        return InternalError()
    # FastAPI answers 400 for exactly one reason: a body that it could not parse.
    fallback = MalformedBody if error.status_code == 400 else BadRequest
    known = BY_STATUS.get(error.status_code, fallback)()
    known.headers = {**known.headers, **(error.headers or {})}
    return known


def _of_validation(error: RequestValidationError) -> TwinlogError:
    return ValidationFailed(errors=tuple(FieldError(_pointer(each["loc"]), _message(each)) for each in error.errors()))


def _pointer(location: tuple[str | int, ...]) -> str:
    """`("body", "tags", 0)` as `/tags/0`; other places keep their name: `/query/limit`."""
    place, *path = location
    steps = [place, *path] if place in _LOCATIONS else path
    return "".join(f"/{escaped(str(step))}" for step in steps)


def escaped(step: str) -> str:
    """One step of an RFC 6901 pointer, cut to a bearable length."""
    return step[:64].replace("~", "~0").replace("/", "~1")


def _message(found: Mapping[str, Any]) -> Message:
    text = str(found["msg"]).removeprefix("Value error, ")
    key = text if found["type"] == "value_error" else f"validation:{found['type']}"
    return Message.keyed(key, text, found.get("ctx") or {})


def _default_headers(error: TwinlogError) -> dict[str, str]:
    if error.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "1"} if error.status == 503 else {}


def _report(error: Exception, known: TwinlogError) -> None:
    if isinstance(known, InternalError):
        _log.error("request failed", exc_info=error)
    else:
        _log.warning("request could not be served", problem=known.code(), exc_info=error)


_OAUTH_ERRORS = {401: "invalid_grant", 403: "unauthorized_client", 429: "temporarily_unavailable", 500: "server_error"}
_OAUTH_ERRORS |= {503: "temporarily_unavailable"}
_KEPT_STATUS = {405, 408, 413, 415, 429, 431, 500, 503}


def _oauth_answer(error: TwinlogError, headers: Mapping[str, str]) -> Response:
    # RFC 6749 section 5.2: 400 unless something else fits, and a description of printable ASCII without quotes.
    code = getattr(error, "oauth_error", None) or _OAUTH_ERRORS.get(error.status, "invalid_request")
    described = error.detail.replace('"', "'").replace("\\", "/").encode("ascii", "replace").decode()
    return Response(
        orjson.dumps({"error": code, "error_description": described}),
        error.status if error.status in _KEPT_STATUS else 400,
        {name: value for name, value in headers.items() if name != "WWW-Authenticate"} | {"Pragma": "no-cache"},
        media_type="application/json",
    )
