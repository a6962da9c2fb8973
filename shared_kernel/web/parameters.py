"""Query parameters: a route gets those it declares, each once, as text; everything else is refused before it."""

from urllib.parse import parse_qsl

from shared_kernel.errors import FieldError, ValidationFailed
from shared_kernel.web.answers import escaped
from shared_kernel.web.problems import UnknownParameter
from shared_kernel.web.routes import Manners

MAX_QUERY_PARAMETERS = 100


def check_query(query_string: bytes, manners: Manners) -> None:
    """Raises UnknownParameter for a name that the route does not declare, ValidationFailed for one given twice."""
    names = _names(query_string)
    if unknown := [name for name in dict.fromkeys(names) if name not in manners.query]:
        raise UnknownParameter(errors=_errors(unknown, "This address has no such parameter."))
    if len(set(names)) == len(names):
        return
    if repeated := [name for name in set(names) - manners.repeatable if names.count(name) > 1]:
        raise ValidationFailed(errors=_errors(sorted(repeated), "This parameter may be given only once."))


def _names(query_string: bytes) -> list[str]:
    try:
        given = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except ValueError:
        raise _unreadable() from None
    if any("\x00" in text for pair in given for text in pair):
        raise _unreadable()
    return [name for name, _ in given]


def _errors(names: list[str], detail: str) -> tuple[FieldError, ...]:
    return tuple(FieldError(f"/query/{escaped(name)}", detail) for name in names)


def _unreadable() -> ValidationFailed:
    return ValidationFailed("The query is not UTF-8 text, or holds a NUL character or too many parameters.")
