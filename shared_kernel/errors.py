"""Every refusal a caller can meet: a small class whose name is its code and whose docstring is its message."""

import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Self


class Message(str):
    """English text made from a template, which it remembers so that it can be said in another language."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        message = super().__new__(cls, template.format(**values))
        message.template = template
        message.values = values
        return message

    @classmethod
    def keyed(cls, key: str, text: str, values: Mapping[str, object] = MappingProxyType({})) -> Self:
        """Finished English text that is looked up under `key`, for texts which somebody else has written."""
        message = super().__new__(cls, text)
        message.template = key
        message.values = dict(values)
        return message


class TwinlogError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    headers: Mapping[str, str] = MappingProxyType({})
    """Headers that go with the answer, such as Retry-After; an instance may have its own."""

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or inspect.cleandoc(type(self).__doc__ or "").splitlines()[0]
        super().__init__(self.detail)

    @classmethod
    def code(cls) -> str:
        """The class name in kebab case; it ends the problem type `/problems/<code>` and never changes."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


class Refusal(TwinlogError):
    """A business rule forbids this."""

    status = 409


class SubjectErased(Refusal):
    """The person this is about has been erased."""


class Unauthenticated(TwinlogError):
    """Sign in first: the access token is missing, expired or not valid here."""

    status = 401


class Forbidden(TwinlogError):
    """You are signed in, but you may not do this."""

    status = 403


class NotFound(TwinlogError):
    """There is nothing here under this address."""

    status = 404


class ValidationFailed(TwinlogError):
    """The request is well formed, but some of its values are not acceptable."""

    status = 422

    def __init__(self, detail: str | None = None, errors: tuple["FieldError", ...] = ()) -> None:
        super().__init__(detail)
        self.errors = errors


class FieldError:
    """Where in the request a value is wrong (RFC 6901 pointer) and why."""

    __slots__ = ("detail", "pointer")

    def __init__(self, pointer: str, detail: str) -> None:
        self.pointer = pointer
        self.detail = detail


class StaleVersion(TwinlogError):
    """The object has changed since you read it: read it again and repeat your change."""

    status = 412


class VersionConflict(TwinlogError):
    """Others changed the object at the same moment; repeat the request."""

    status = 409


class IdempotencyKeyReused(TwinlogError):
    """This Idempotency-Key was used for a different request; choose a new key."""

    status = 422


class IdempotencyInFlight(TwinlogError):
    """The first request with this Idempotency-Key is still being worked on; repeat in a moment."""

    status = 409


class ReplayUnavailable(TwinlogError):
    """The request was carried out, but its answer held a secret and is not kept; sign in or ask for a new one."""

    status = 409


class ReadModelBehind(TwinlogError):
    """The read model has not yet reached the position you asked for; try again in a moment."""

    status = 503


class ReadModelParked(TwinlogError):
    """The read model of this object is parked by an event that it cannot handle; an operator has to look."""

    status = 503


class LogEpochChanged(TwinlogError):
    """The log was restored since this token was issued; read again without it."""

    status = 409


class RateLimited(TwinlogError):
    """Too many requests; wait as long as Retry-After says."""

    status = 429

    def __init__(self, detail: str | None = None, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class ServiceUnavailable(TwinlogError):
    """Something this answer needs cannot be reached just now; try again in a moment."""

    status = 503


class ImpossibleHistory(TwinlogError):
    """The log holds an event that cannot follow the ones before it."""


class SchemaMismatch(TwinlogError):
    """The database schema is not the one this release needs; run `twinlog migrate`."""


class StartupRefused(TwinlogError):
    """The service cannot start like this."""
