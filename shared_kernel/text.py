"""Text that every part can keep: PostgreSQL takes no NUL, UTF-8 no lone surrogate, a log line no line break."""

import re

from pydantic import WithJsonSchema

PROSE_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
LINE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
NAME_PATTERN = r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
"""The rules below as JSON Schema tells them to callers; a name is a line with something in it."""

_NEVER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NOT_IN_A_LINE = re.compile(r"[\t\n\r\u2028\u2029]")


def prose(text: str) -> str:
    """The text itself, which may hold tabs and line breaks. Raises ValueError for any other control character."""
    if _NEVER.search(text):
        raise ValueError("must not contain control characters")
    return text


def line(text: str) -> str:
    """The text itself, all on one line. Raises ValueError for control characters and line breaks."""
    if _NOT_IN_A_LINE.search(text):
        raise ValueError("must be a single line")
    return prose(text)


def slug(text: str) -> str:
    """The text itself, fit to name a tenant: lower-case letters, digits and inner hyphens. Raises ValueError."""
    if not _SLUG.fullmatch(text):
        raise ValueError("must be 1 to 63 lower-case letters, digits or inner hyphens")
    return text


def shown(pattern: str, longest: int, shortest: int = 0) -> WithJsonSchema:
    """The published schema of a text that one of the functions above checks, which a schema cannot show by itself."""
    return WithJsonSchema({"type": "string", "minLength": shortest, "maxLength": longest, "pattern": pattern})
