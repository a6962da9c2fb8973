"""The one middleware: ids in, manners checked, errors answered, headers out, one log line and metrics per request."""

from collections.abc import Mapping
from itertools import chain
from time import perf_counter

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from shared_kernel.errors import Message, NotFound
from shared_kernel.observability import Metrics, get_logger
from shared_kernel.rates.requests import FIELDS_KEY
from shared_kernel.web.answers import Answers, as_twinlog_error
from shared_kernel.web.arrival import HEADERS_KEY, MANNERS_KEY
from shared_kernel.web.bodies import admit_body
from shared_kernel.web.browsers import SAFE, BrowserRules, answer_preflight
from shared_kernel.web.context import RequestContext, enter, is_correlation_id, leave, new_context
from shared_kernel.web.headers import MalformedHeader
from shared_kernel.web.parameters import check_query
from shared_kernel.web.problems import HeaderFieldsTooLarge
from shared_kernel.web.proxies import TrustedProxies
from shared_kernel.web.routes import Manners, RouteTable, refuse_undeclared_routes

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_768
CLIENT_GONE = 499
"""The status that logs and metrics show when the caller left before the answer began."""

ONCE = (
    *("Authorization", "Content-Type", "Content-Encoding", "Content-Length", "Host", "Tenant", "Idempotency-Key"),
    *("If-Match", "If-None-Match", "Consistency-Token", "X-Correlation-ID", "traceparent"),
)
"""Headers of which a second one would make two readers of the same request understand different things."""

NO_STORE = (b"cache-control", b"no-store")
"""Sent unless the route has said something else about caching."""

NO_ACTIVE_CONTENT = (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
"""Sent unless the route, whose answer is a page then, has named what its page may do."""

HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "CONNECT"})
_log = get_logger("twinlog.access")


class Exchange:
    """One request being answered: stands between the application and `send`, and remembers what came of it."""

    __slots__ = ("_fixed", "_scope", "_send", "problem", "status")

    def __init__(self, send: Send, scope: Scope, fixed: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send = send
        self._scope = scope
        self._fixed = fixed
        self.status = 0
        self.problem: str | None = None

    async def send(self, message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = {name for name, _ in message["headers"]}
            unsaid = [each for each in (NO_STORE, NO_ACTIVE_CONTENT) if each[0] not in said]
            headers = [*message["headers"], *self._fixed, *unsaid, *self._scope.get(FIELDS_KEY, ())]
            message = {**message, "headers": headers}
        await self._send(message)


class Edge:
    """Pure ASGI, around everything the application does. `owner` is read for its routes when the first call comes."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        owner: FastAPI,
        answers: Answers,
        metrics: Metrics,
        max_body_bytes: int,
        proxies: TrustedProxies | None = None,
        browsers: BrowserRules | None = None,
    ) -> None:
        refuse_undeclared_routes(owner)
        self._app = app
        self._proxies = proxies if proxies is not None and proxies.networks else None
        self._browsers = browsers or BrowserRules()
        self._answers = answers
        self._metrics = metrics
        self._table = RouteTable(owner, max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = perf_counter()
        headers = scope[HEADERS_KEY] = _by_name(scope["headers"])
        if self._proxies is not None:
            self._proxies.correct(scope)
        context, fault = _context_of(headers)
        fixed = (*_fixed_headers(context, scope["scheme"]), *self._browsers.headers_for(headers))
        exchange = Exchange(send, scope, fixed)
        manners = scope[MANNERS_KEY] = self._table.find(scope["method"], scope["path"])
        entered = enter(context)
        try:
            if manners is None and self._browsers.is_preflight(scope, headers):
                await answer_preflight(self._table.allowed(scope["path"]), exchange.send)
            else:
                await self._app(scope, await _admit(scope, headers, manners, receive, fault), exchange.send)
        except ClientDisconnect:
            exchange.status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the last resort: every error becomes an answer
            await self._refuse(error, scope, receive, exchange, manners)
        finally:
            self._observe(scope["method"], manners, exchange, perf_counter() - started)
            leave(entered)
        return None

    async def _refuse(
        self, error: Exception, scope: Scope, receive: Receive, exchange: Exchange, manners: Manners | None
    ) -> None:
        if isinstance(error, HTTPException) and error.status_code == 405:
            # The router knows only the first route at this path; RFC 9110 wants every method it takes.
            error = HTTPException(405, headers={"Allow": ", ".join(self._table.allowed(scope["path"]))})
        exchange.problem = as_twinlog_error(error).code()
        self._metrics.refused(exchange.problem)
        language = scope[HEADERS_KEY].get(b"accept-language", b"").decode("latin-1")
        answer = self._answers.to(error, language, oauth=manners is not None and manners.oauth)
        if exchange.status == 0:
            await answer(scope, receive, exchange.send)
        # Otherwise the answer has begun: leaving it unfinished makes the server break the connection.

    def _observe(self, method: str, manners: Manners | None, exchange: Exchange, seconds: float) -> None:
        route = manners.template if manners else "unmatched"
        known = method if method in _METHODS else "other"
        status = exchange.status or CLIENT_GONE
        self._metrics.request_answered(known, route, status, seconds)
        say = _log.debug if manners is not None and manners.quiet else _log.info
        why = {} if exchange.problem is None else {"problem": exchange.problem}
        say("request", method=known, route=route, status=status, duration_ms=round(seconds * 1000, 3), **why)


def _by_name(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Of a header that came twice the first counts, as everywhere behind the edge."""
    by_name = dict(fields)
    return by_name if len(by_name) == len(fields) else dict(reversed(fields))


def _context_of(headers: Mapping[bytes, bytes]) -> tuple[RequestContext, Exception | None]:
    """The ids of this request, and what is wrong with the ones the caller sent."""
    correlation_id = headers.get(b"x-correlation-id")
    traceparent = headers.get(b"traceparent")
    trace = traceparent.decode("latin-1") if traceparent else None
    if correlation_id is None:
        return new_context(None, trace), None
    given = correlation_id.decode("latin-1")
    if is_correlation_id(given):
        return new_context(given, trace), None
    return new_context(None, trace), MalformedHeader(
        "X-Correlation-ID takes 1 to 128 letters, digits or any of . _ : / + = ~ -"
    )


def _fixed_headers(context: RequestContext, scheme: str) -> tuple[tuple[bytes, bytes], ...]:
    fixed = (
        (b"x-request-id", context.request_id.encode()),
        (b"x-correlation-id", context.correlation_id.encode()),
        *SAFE,
    )
    return (*fixed, HSTS) if scheme == "https" else fixed


async def _admit(
    scope: Scope, headers: Mapping[bytes, bytes], manners: Manners | None, receive: Receive, fault: Exception | None
) -> Receive:
    if fault is not None:
        raise fault
    check_header_fields(scope["headers"], headers)
    if "\x00" in scope["path"]:
        raise NotFound
    if manners is None:
        return receive
    if scope["query_string"]:
        check_query(scope["query_string"], manners)
    return await admit_body(manners, headers, scope, receive)


def check_header_fields(fields: list[tuple[bytes, bytes]], by_name: Mapping[bytes, bytes]) -> None:
    """Raises HeaderFieldsTooLarge, or MalformedHeader when a header that must be alone comes twice."""
    if len(fields) > MAX_HEADERS or sum(map(len, chain.from_iterable(fields))) > MAX_HEADER_BYTES:
        raise HeaderFieldsTooLarge
    if len(by_name) == len(fields):
        return
    names = [name for name, _ in fields]
    for header in ONCE:
        if names.count(header.lower().encode()) > 1:
            raise MalformedHeader(Message("The header {header} may be sent only once.", header=header))
