"""Which request is being worked on: its ids, kept in a context variable from the first byte to the last."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

import uuid_utils

from shared_kernel.observability import log_context

_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:/+=~-]{1,128}", re.ASCII)
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Ids of one request: `request_id` is ours, `correlation_id` the caller's or the same, `trace_id` 32 hex digits.

    `traceparent` (W3C Trace Context) is what an outgoing call of this request sends along.
    """

    request_id: str
    correlation_id: str
    trace_id: str
    traceparent: str


_active: ContextVar[RequestContext | None] = ContextVar("twinlog_request_context", default=None)

Entered = tuple[Token[RequestContext | None], Token[Mapping[str, str]]]


def new_context(correlation_id: str | None = None, traceparent: str | None = None) -> RequestContext:
    """Ids for a new piece of work, continuing the caller's trace if `traceparent` is one (it is ignored if not).

    `correlation_id` must have passed `is_correlation_id`.
    """
    made = uuid_utils.uuid7()
    request_id, digits = str(made), made.hex
    trace_id, flags = _continued(traceparent) or (digits, "00")
    return RequestContext(
        request_id=request_id,
        correlation_id=correlation_id or request_id,
        trace_id=trace_id,
        traceparent=f"00-{trace_id}-{digits[16:]}-{flags}",  # the latter half is random, and never all zeros
    )


def is_correlation_id(value: str) -> bool:
    """Whether a caller may use this as X-Correlation-ID: 1 to 128 letters, digits or any of `._:/+=~-`."""
    return _CORRELATION_ID.fullmatch(value) is not None


def current() -> RequestContext:
    """The context of the request at hand; outside of any request one is made and kept for the running task."""
    context = _active.get()
    if context is None:
        context = new_context()
        enter(context)
    return context


def active() -> RequestContext | None:
    """The context of the request at hand, or None outside of any."""
    return _active.get()


@contextmanager
def bound(context: RequestContext) -> Iterator[RequestContext]:
    """Work under these ids, for commands that do not come over HTTP."""
    entered = enter(context)
    try:
        yield context
    finally:
        leave(entered)


def enter(context: RequestContext) -> Entered:
    """Make these ids the current ones, for log lines too, until `leave`."""
    ids = {
        "request_id": context.request_id,
        "correlation_id": context.correlation_id,
        "trace_id": context.trace_id,
    }
    return _active.set(context), log_context.set(ids)


def leave(entered: Entered) -> None:
    """Undo `enter`."""
    _active.reset(entered[0])
    log_context.reset(entered[1])


def _continued(traceparent: str | None) -> tuple[str, str] | None:
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, rest = found.groups()
    # Version 00 has exactly four fields; ff and all-zero ids are invalid (W3C Trace Context, section 3.2).
    if version == "ff" or (version == "00" and rest) or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    return trace_id, f"{int(flags, 16) & 1:02x}"
