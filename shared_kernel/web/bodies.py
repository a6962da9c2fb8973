"""Reads a request's body within its bounds and refuses what no route should have to think about."""

import asyncio
import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message as AsgiMessage
from starlette.types import Receive, Scope

from shared_kernel.errors import FieldError, Message, ValidationFailed
from shared_kernel.web.arrival import BODY_KEY, CONTENT_KEY
from shared_kernel.web.headers import MalformedHeader
from shared_kernel.web.problems import BodyTooLarge, MalformedBody, RequestTimeout, UnsupportedMediaType
from shared_kernel.web.routes import Body, Manners

MAX_DEPTH = 32
MAX_FORM_FIELDS = 64
READ_SECONDS = 30.0
"""How long a body may take to arrive before the request is given up."""

_MAX_DIGITS = 19
_INT64 = 1 << 63


async def admit_body(manners: Manners, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive) -> Receive:
    """Read and check the body that the headers announce; answers what the route receives from.

    What was read is left in the scope, and what it says if it is JSON.

    Raises BodyTooLarge, UnsupportedMediaType, MalformedBody, ValidationFailed or RequestTimeout.
    """
    length = headers.get(b"content-length")
    if b"transfer-encoding" not in headers and (length is None or length == b"0"):
        return receive
    if length is not None and _announced(length) > manners.max_body_bytes:
        raise _too_large(manners.max_body_bytes)
    if manners.body is Body.STREAM:
        require_media_type(manners, headers)
        return _counted(receive, manners.max_body_bytes)
    body = scope[BODY_KEY] = await _read(receive, manners.max_body_bytes)
    if body:
        require_media_type(manners, headers)
        _check(manners, scope, body)
    return _replayed(body, receive)


def _check(manners: Manners, scope: Scope, body: bytes) -> None:
    if manners.body is Body.FORM:
        check_form(body)
    else:
        scope[CONTENT_KEY] = _content(manners, body)


def _content(manners: Manners, body: bytes) -> Any:
    content = strict_json(body)
    # Many clients send {} where nothing is needed; anything more was meant to have an effect.
    if manners.body is Body.NONE and content != {}:
        raise ValidationFailed(errors=(FieldError("", "This address takes no body."),))
    return content


def require_media_type(manners: Manners, headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaType for a media type, charset or encoding that the route does not take."""
    media_type, charset = _content_type(headers.get(b"content-type", b""))
    accepted = manners.media_types
    plain = headers.get(b"content-encoding", b"identity").lower() == b"identity"
    if media_type not in accepted or charset != "utf-8" or not plain:
        raise UnsupportedMediaType(
            Message("This address takes {accepted} in UTF-8 without encoding.", accepted=" or ".join(accepted))
        )


def strict_json(body: bytes) -> Any:
    """The value of a JSON text (RFC 8259), without the liberties that parsers take.

    Raises MalformedBody for other encodings than UTF-8, names given twice, NaN and infinities, integers of more than
    64 bits, NUL characters, lone surrogates, and more than 32 levels of nesting.
    """
    try:
        value = _DECODER.decode(body.decode())
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise MalformedBody("The body is not valid JSON in UTF-8.") from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH or b"\\u" in body:
        _inspect(value)
    return value


def check_form(body: bytes) -> None:
    """Raises MalformedBody unless this is a form in UTF-8 that names each field once (RFC 6749 section 3.2)."""
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
        )
    except ValueError:
        raise _bad_form() from None
    if any("\x00" in name or "\x00" in value for name, value in fields):
        raise _bad_form()
    if len({name for name, _ in fields}) != len(fields):
        raise MalformedBody("A field of the form appears twice.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody("An object in the body names the same member twice.")
    return members


def _refuse_number(_: str) -> NoReturn:
    raise MalformedBody("The body holds a number that is not finite or needs more than 64 bits.")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)


def _bounded(text: str) -> int:
    if len(text) > _MAX_DIGITS + 1:
        _refuse_number(text)
    value = int(text)
    return value if -_INT64 <= value < _INT64 else _refuse_number(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_number, parse_float=_finite, parse_int=_bounded
)


def _inspect(value: Any) -> None:
    # Iterative on purpose: what is nested too deeply must not be met with recursion.
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            _require_text(item)
        elif isinstance(item, dict | list):
            if depth > MAX_DEPTH:
                raise _too_deep()
            pending.extend((each, depth + 1) for each in item)
            if isinstance(item, dict):
                pending.extend((each, depth + 1) for each in item.values())


def _require_text(text: str) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedBody("A text in the body holds a NUL character or half of a surrogate pair.")


@lru_cache(maxsize=256)
def _content_type(header: bytes) -> tuple[str, str]:
    """Media type and charset, lower case; the charset is `utf-8` when it is not said."""
    media_type, *parameters = header[:256].decode("latin-1").lower().split(";")
    charset = "utf-8"
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset":
            charset = value.strip('"')
    return media_type.strip(), charset


def _announced(length: bytes) -> int:
    if not length.isdigit() or len(length) > _MAX_DIGITS:
        raise MalformedHeader
    return int(length)


async def _read(receive: Receive, limit: int) -> bytes:
    # Nearly every body is here with its head; the server's protocol sees to it that the first part comes at all.
    body, more = await _next_part(receive)
    if len(body) > limit:
        raise _too_large(limit)
    return await _rest(bytearray(body), receive, limit) if more else body


async def _rest(received: bytearray, receive: Receive, limit: int) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS):
            more = True
            while more:
                part, more = await _next_part(receive)
                received += part
                if len(received) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise RequestTimeout from None
    return bytes(received)


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending: list[AsgiMessage] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> AsgiMessage:
        return pending.pop() if pending else await receive()

    return replay


def _counted(receive: Receive, limit: int) -> Receive:
    total = 0

    async def counted() -> AsgiMessage:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            # FastAPI's own parsers let an HTTPException through and turn anything else into "malformed".
            raise HTTPException(status_code=413)
        return message

    return counted


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(Message("The body is larger than the {limit} bytes that this address accepts.", limit=limit))


def _too_deep() -> MalformedBody:
    return MalformedBody(Message("The body is nested more than {depth} levels deep.", depth=MAX_DEPTH))


def _bad_form() -> MalformedBody:
    return MalformedBody("The form is not valid UTF-8, or holds a NUL character or too many fields.")
