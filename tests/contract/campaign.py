"""A campaign of schemathesis against one API: every check and phase, as one caller, and the figures of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.auths import AuthContext
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext

from tests.contract.neighbour import Neighbour

REFUSALS_NO_SCHEMA_CAN_TELL: Mapping[str, str] = {
    "idempotency-key-reused": "whether a key is new is known to the log alone",
    "stale-version": "so is the version that If-Match must name",
    "weak-password": "the list of passwords that everybody tries is long",
    "malformed-consistency-token": "only what was issued is genuine",
    "invalid_grant": "only who has registered can sign in",
    "unsupported_grant_type": "RFC 6749 leaves the set of grant types open",
    "invalid_request": "which fields a form needs depends on its grant type",
    "is not a cursor of this list": "only what was issued is genuine",
    "number that is not finite or needs more": "JSON Schema does not know 1e30 from the digits of it",
    "must not be larger than": "the size of a whole document cannot be said",
    "must not be nested more": "nor can the depth of free JSON",
    "must not have more than": "nor the number of keys at all levels together",
    "holds a NUL character or half of a surrogate pair": "nor what the keys of free JSON may hold",
    "step-up-refused": "whose password it is cannot be told",
    "wrong-code": "so is a one-time code",
    "wrong-password": "so is a password",
    "invitation-": "whether a tenant wants invitations, and which count, the log alone knows",
    "own-account-is-not-suspended": "who asks is not in the schema",
    "rate-limited": "nor what is left of their quota",
    "temporarily_unavailable": "nor is it where tokens are issued",
    "must not contain control characters": "nor what the texts in free JSON may hold",
    "valid Unicode": "nor that they are Unicode",
    "takes entity tags in double quotes": "the generator sends an empty list of tags, against its own pattern",
    "must be an e-mail address": "`format: email` admits more than mail programs do",
}
"""By code, or by words of the answer: why a request that fits the schema may be refused all the same."""

Parameters = dict[str, Any] | None
Exchange = Callable[[HookContext, Parameters], Parameters]

SIGN_IN_AGAIN_AFTER = 240
"""Seconds; an access token lives 600."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard to try; `seconds` bounds the whole campaign and repeats fuzzing and stateful tests until it is over."""

    seed: int
    examples: int
    seconds: int | None = None
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Figures:
    """What a campaign found: `probes` are requests that name something of the neighbour, `leaks` the answered."""

    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    excused: Counter[str] = field(default_factory=Counter)
    probes: int = 0
    leaks: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add_all(self, other: "Figures") -> None:
        """Count what another campaign did and found too."""
        self.requests += other.requests
        self.statuses += other.statuses
        self.checks += other.checks
        self.excused += other.excused
        self.operations |= other.operations
        self.probes += other.probes
        self.leaks |= other.leaks
        self.failures |= other.failures
        self.errors += other.errors

    @property
    def undocumented(self) -> int:
        """How many kinds of answer the document does not tell of."""
        return sum(" | status_code_conformance | " in name for name in self.failures)

    @property
    def server_errors(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= "500")

    def add(self, scenario: events.ScenarioFinished) -> None:
        """Count what one scenario sent and found."""
        recorder = scenario.recorder
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                self.requests += 1
                self.statuses[str(interaction.response.status_code)] += 1
        for case_id, checks in recorder.checks.items():
            operation = recorder.cases[case_id].value.operation.label
            self.operations.add(operation)
            self.checks.update(check.name for check in checks)
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    answer = getattr(recorder.interactions[case_id].response, "text", "")
                    said = f"{failure.message}\n{check.failure_info.code_sample}\n{answer[:600]}"
                    self.failures.setdefault(f"{operation} | {check.name} | {failure.title}", said)


def campaign(
    document: dict[str, Any], url: str, sign_in: Callable[[], str], plan: Plan, neighbour: Neighbour
) -> Figures:
    """Play the phases of the plan with every check against `url`; `sign_in` gives a token whenever one is needed.

    Many requests name what belongs to the neighbour, of another tenant, and nobody may be answered about that. The same
    seed sends the same requests as long as the answers are the same.
    """
    figures = Figures()
    schema = schemathesis.openapi.from_dict(document, config=_configuration(url, plan))
    schema.hook("filter_failure")(_excusing(figures))
    for hook in (*_naming(neighbour), _watching(figures, neighbour)):
        schema.hook(hook)
    schema.auth(refresh_interval=SIGN_IN_AGAIN_AFTER)(_caller(sign_in))
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            figures.add(event)
        elif isinstance(event, events.NonFatalError | events.FatalError):
            figures.errors.append(str(getattr(event, "value", None) or getattr(event, "exception", event)))
    return figures


def _configuration(url: str, plan: Plan) -> SchemathesisConfig:
    settings: dict[str, Any] = {
        "seed": plan.seed,
        "base-url": url,
        "continue-on-failure": True,
        "request-timeout": 30,
        "generation": {"max-examples": plan.examples, "no-shrink": True, "database": "none"},
        "cache": {"enabled": False},
        "checks": {"object_level_authorization": {"enabled": False}},  # wants users of its own; `Neighbour` does more
        "phases": {name: {"enabled": name in plan.phases} for name in Plan(0, 0).phases},
    }
    if plan.seconds is not None:
        settings["max-time"] = plan.seconds
    return SchemathesisConfig.from_dict(settings)


def _caller(sign_in: Callable[[], str]) -> type:
    class Caller:
        """Sends the access token of whoever `sign_in` signs in."""

        def get(self, case: Case[Any], context: AuthContext) -> str:
            return sign_in()

        def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    return Caller


def _naming(neighbour: Neighbour) -> tuple[Exchange, Exchange]:
    def map_path_parameters(context: HookContext, path_parameters: Parameters) -> Parameters:
        """Now and then what is asked for is the neighbour's."""
        return neighbour.in_path(path_parameters)

    def map_query(context: HookContext, query: Parameters) -> Parameters:
        """Now and then a filter is for what is the neighbour's."""
        return neighbour.in_query(query)

    return map_path_parameters, map_query


def _watching(figures: Figures, neighbour: Neighbour) -> Callable[[HookContext, Case[Any], Response], None]:
    def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
        """Note what was answered about somebody of another tenant."""
        figures.probes += neighbour.is_named_in(response.request.url or "")
        if 200 <= response.status_code < 300 and neighbour.is_told_of(response.request.url or "", response.text):
            figures.leaks[case.operation.label] = f"{response.request.url}\n{response.text[:600]}"

    return after_call


def _excusing(figures: Figures) -> Callable[[HookContext, Failure, Case[Any], Response], bool]:
    def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
        """Keep a failure, unless valid data were refused for a reason that no schema can tell."""
        reason = _excuse(failure, response.text)
        if reason is not None:
            figures.excused[reason] += 1
        return reason is None

    return filter_failure


def _excuse(failure: Failure, answer: str) -> str | None:
    if type(failure).__name__ != "RejectedPositiveData":
        return None
    return next((words for words in REFUSALS_NO_SCHEMA_CAN_TELL if words in answer), None)
