"""What a process tells its operators: JSON log lines without secrets or personal data, and Prometheus metrics."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import version
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

from shared_kernel.errors import TwinlogError

REDACTED = "[redacted]"
SENSITIVE = frozenset(
    (
        *("password", "passwd", "passphrase", "token", "otp", "totp", "authorization", "cookie", "secret", "key"),
        *("kek", "pem", "credential", "credentials", "email", "mail", "name", "username", "login", "phone", "ip"),
    )
)
"""A log field is obscured when one of the words its name is made of is among these."""

FOREIGN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "psycopg", "psycopg.pool", "alembic", "fastapi")
TALKATIVE_LOGGERS = ("uvicorn.access", "httpx2", "httpcore2", "casbin", "psycopg", "psycopg.pool")
"""They write out addresses with their queries, or what they are asked to decide, at level info."""

MAX_NESTING = 6
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

get_logger = structlog.get_logger

log_context: ContextVar[Mapping[str, str]] = ContextVar("twinlog_log_context", default=MappingProxyType({}))
"""Fields that every log line of the work at hand carries, such as the ids of a request; set by whoever begins it."""

_FLAT = frozenset((str, int, float, bool, type(None), datetime))  # in such values nothing can be hidden

Enrich = Callable[[WrappedLogger, str, EventDict], EventDict]
M = TypeVar("M", Counter, Gauge, Histogram)


class LineSink(Protocol):
    """Where log lines go."""

    def write(self, line: bytes, /) -> object: ...

    def flush(self) -> object: ...


class StandardError:
    """File descriptor 2 itself: whatever becomes of `sys.stderr`, a logger that was made once can go on writing.

    What cannot be written (the disk is full) is lost: it must not end the work that it tells of.
    """

    def __init__(self) -> None:
        self._torn = False

    def write(self, line: bytes, /) -> None:
        left = b"\n" + line if self._torn else line
        try:
            while left:
                left = left[os.write(2, left) :]
            self._torn = False
        except OSError:
            self._torn = True  # the next line begins on a line of its own

    def flush(self) -> None:
        """Nothing is ever held back."""


def configure_logging(service: str, level: str = "info", sink: LineSink | None = None) -> None:
    """Send every log line of this process, our own and the libraries', as one JSON object to stderr.

    Once per process, before the first line: loggers keep what they were first used with. Exception messages (which
    may quote values) appear only at level `debug`, or when the exception is one of ours or the operating system's.
    Raises ValueError for an unknown level.
    """
    threshold = _threshold(level)
    out = sink or StandardError()
    enrich = _enricher(service, with_messages=threshold <= logging.DEBUG)
    structlog.configure(
        processors=[enrich, redact, _render],
        wrapper_class=_straight(structlog.make_filtering_bound_logger(threshold), enrich, threshold),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", out)),
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(threshold, enrich, out)


def _straight(kind: type[Any], enrich: Enrich, threshold: int) -> type[Any]:
    """The same logger, whose plainest lines, of which each request has several, take the same steps straight."""

    class Straight(kind):  # type: ignore[misc] # made by structlog at run time
        def info(self, event: str | None = None, *args: Any, **fields: Any) -> Any:
            if args or self._context or event is None:
                return super().info(event, *args, **fields)
            fields["event"] = event
            return self._logger.msg(_render(None, "info", redact(None, "info", enrich(None, "info", fields))))

    return Straight if threshold <= logging.INFO else kind


def _threshold(level: str) -> int:
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"unknown log level {level!r}; use debug, info, warning or error")
    return threshold


def _enricher(service: str, *, with_messages: bool) -> Enrich:
    def enrich(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["time"] = datetime.now(UTC)
        event.setdefault("level", "error" if method == "exception" else method)
        event["service"] = service
        event.update(log_context.get())
        if "exc_info" in event:
            _describe_exception(event, with_messages=with_messages)
        return event

    return enrich


def _render(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def _route_standard_logging(threshold: int, enrich: Enrich, out: LineSink) -> None:
    handler = _BytesHandler(out)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name],
            processors=[ProcessorFormatter.remove_processors_meta, enrich, redact, _render_text],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries explain themselves at debug with values we must not keep; their warnings are what an operator needs.
    root.setLevel(max(threshold, logging.INFO))
    for name in FOREIGN_LOGGERS:
        foreign = logging.getLogger(name)
        foreign.handlers[:] = []
        foreign.setLevel(logging.NOTSET)  # importing one library may have hushed another
        foreign.propagate = True
    for name in TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _render_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _render(logger, method, event).decode()


class _BytesHandler(logging.Handler):
    def __init__(self, out: LineSink) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._out.write(self.format(record).encode() + b"\n")
            self._out.flush()
        except Exception:  # noqa: BLE001 - a log line that cannot be written must not end the request
            self.handleError(record)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Obscure every field whose name says that it may hold a secret or something about a person."""
    for key in _sensitive_among(tuple(event)):
        event[key] = REDACTED
    if not _FLAT.issuperset(map(type, event.values())):
        for key, value in event.items():
            if isinstance(value, (dict, list, tuple)):
                event[key] = _redacted(value, MAX_NESTING)
    return event


@lru_cache(maxsize=1024)
def _sensitive_among(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if _is_sensitive(key))


def _redacted(value: Any, depth: int) -> Any:
    if depth == 0:
        return REDACTED
    if isinstance(value, dict):
        return {key: REDACTED if _is_sensitive(str(key)) else _redacted(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, depth - 1) for item in value]
    return value


@lru_cache(maxsize=4096)
def _is_sensitive(key: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return not SENSITIVE.isdisjoint(re.split(r"[^a-z0-9]+", words))


def _describe_exception(event: EventDict, *, with_messages: bool) -> None:
    given = event.pop("exc_info")
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = [_one_exception(each, with_messages=with_messages) for each in _chain(error)]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _one_exception(error: BaseException, *, with_messages: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"type": type(error).__qualname__, "frames": _frames(error.__traceback__)}
    if with_messages or isinstance(error, TwinlogError | OSError):
        described["message"] = str(error)
    if (sqlstate := getattr(error, "sqlstate", None)) is not None:
        described["sqlstate"] = sqlstate
    return described


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)[-12:]]


class Metrics:
    """The metrics of one process, in a registry of its own; every counter and gauge is registered through it.

    Names get the prefix `twinlog_`. Asking twice for the same name gives the same metric.
    """

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._known: dict[str, Counter | Gauge | Histogram] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = self.gauge("build_info", "Always 1; says what is running.", ("service", "version"))
        build.labels(service, version("twinlog")).set(1)
        labels = ("method", "route", "status")
        self._requests = self.counter("http_requests", "Requests answered, by route template.", labels)
        duration = "From the first byte read to the last one sent."
        self._seconds = self.histogram("http_request_duration_seconds", duration, labels)
        self._refusals = self.counter("refusals", "Requests refused, by the code of the problem.", ("code",))
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        return self._register(name, Counter, lambda n: Counter(n, documentation, labels, registry=self.registry))

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
        return self._register(name, Gauge, lambda n: Gauge(n, documentation, labels, registry=self.registry))

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = DURATION_BUCKETS
    ) -> Histogram:
        made = partial(Histogram, documentation=documentation, labelnames=labels, buckets=buckets)
        return self._register(name, Histogram, lambda n: made(n, registry=self.registry))

    def request_answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template such as `/v1/resources/{id}`, never a path."""
        key = (method, route, status)
        children = self._children.get(key)
        if children is None:
            labels = (method, route, str(status))
            children = self._children[key] = self._requests.labels(*labels), self._seconds.labels(*labels)
        children[0].inc()
        children[1].observe(seconds)

    def refused(self, code: str) -> None:
        """Count one refusal; `code` is a problem's, of which there are few."""
        self._refusals.labels(code).inc()

    def render(self) -> bytes:
        """Everything in the Prometheus text format."""
        return generate_latest(self.registry)

    def _register(self, name: str, kind: type[M], make: Callable[[str], M]) -> M:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = make(f"twinlog_{name}")
        if not isinstance(known, kind):
            raise TypeError(f"the metric {name!r} is already registered as a {type(known).__name__}")
        return known


def log_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields as a log line would show them, for output that is not a log line."""
    return dict(redact(None, "", dict(values)))
