"""Ids of a request and the trace it belongs to."""

import re
from uuid import UUID

import pytest

from shared_kernel.observability import log_context
from shared_kernel.web.context import active, bound, current, is_correlation_id, new_context

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_request_id_is_a_uuid_of_version_7() -> None:
    assert UUID(new_context().request_id).version == 7


def test_correlation_id_is_the_callers_or_the_requests_own() -> None:
    assert new_context("order-1").correlation_id == "order-1"
    fresh = new_context()
    assert fresh.correlation_id == fresh.request_id


def test_trace_of_the_caller_goes_on_under_a_span_of_ours() -> None:
    context = new_context(traceparent=PARENT)
    assert context.trace_id == TRACE
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", context.traceparent)
    assert "00f067aa0ba902b7" not in context.traceparent


def test_newer_trace_version_with_more_fields_is_understood() -> None:
    assert new_context(traceparent=f"cc-{TRACE}-00f067aa0ba902b7-01-what-comes-next").trace_id == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"{PARENT}-more",
        f"{PARENT}\n",
    ],
)
def test_invalid_traceparent_is_ignored(traceparent: str) -> None:
    context = new_context(traceparent=traceparent)
    assert context.trace_id != TRACE
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", context.traceparent)


@pytest.mark.parametrize("value", ["a", "order-1/2:3.4_5=6+7~8", "x" * 128])
def test_safe_correlation_ids_are_taken(value: str) -> None:
    assert is_correlation_id(value)


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "a\n", 'a"b', "a\u0660", "someone@example.org", "<b>"])
def test_other_correlation_ids_are_not(value: str) -> None:
    assert not is_correlation_id(value)


def test_bound_context_is_current_and_logged_until_the_end() -> None:
    before = active()
    with bound(new_context("job-1")) as context:
        assert current() is context
        assert log_context.get()["correlation_id"] == "job-1"
    assert active() is before


async def test_work_outside_of_requests_gets_ids_that_stay() -> None:
    assert current() is current()
