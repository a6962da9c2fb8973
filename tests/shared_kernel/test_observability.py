"""Log lines that may be kept, and metrics that can be read."""

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
import structlog

from shared_kernel.errors import StartupRefused
from shared_kernel.observability import REDACTED, Metrics, StandardError, configure_logging, log_fields


class Lines(io.BytesIO):
    """A sink that reads back what was written."""

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sink = Lines()
    configure_logging("sample", "info", sink)
    yield sink
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def raised(error: Exception, cause: Exception | None = None) -> None:
    raise error from cause


def logger() -> Any:
    return structlog.get_logger()


@pytest.mark.asvs("V16.2.1", "V16.2.2", "V16.2.4")
def test_line_is_one_json_object(lines: Lines) -> None:
    logger().info("it happened", count=3)
    (line,) = lines.objects()
    assert line.pop("time").endswith("Z")
    assert line == {"event": "it happened", "count": 3, "level": "info", "service": "sample"}


@pytest.mark.asvs("V1.1.2", "V16.4.1")
def test_line_break_in_a_value_makes_no_second_line(lines: Lines) -> None:
    logger().info("it happened", path='/x\r\n{"event": "forged"}')
    assert len(lines.getvalue().splitlines()) == 1


@pytest.mark.asvs("V16.2.5")
@pytest.mark.parametrize(
    "field",
    ["password", "new_password", "access_token", "otp", "Authorization", "email", "userEmail", "name", "client_secret"],
)
def test_field_that_may_hold_a_secret_or_a_person_is_obscured(lines: Lines, field: str) -> None:
    logger().info("it happened", **{field: "alice"})
    assert lines.objects()[0][field] == REDACTED


@pytest.mark.parametrize("field", ["tenant", "filename", "permission", "route", "tokenizer", "monkey"])
def test_field_that_only_sounds_like_it_is_shown(lines: Lines, field: str) -> None:
    logger().info("it happened", **{field: "shown"})
    assert lines.objects()[0][field] == "shown"


def test_fields_inside_are_obscured_too(lines: Lines) -> None:
    logger().info("it happened", request={"headers": [{"cookie": "x"}, ("a", {"email": "b"})], "size": 3})
    assert lines.objects()[0]["request"] == {"headers": [{"cookie": REDACTED}, ["a", {"email": REDACTED}]], "size": 3}


def test_what_is_nested_without_end_is_cut() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert REDACTED in str(log_fields({"value": endless}))


def test_value_that_is_no_json_is_shown_as_python_shows_it(lines: Lines) -> None:
    logger().info("it happened", value={1, 2}, kinds={1: object})
    assert lines.objects()[0]["value"] == "{1, 2}"


def test_line_below_the_level_is_not_written(lines: Lines) -> None:
    logger().debug("unimportant")
    assert lines.objects() == []


def test_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        configure_logging("sample", "loud")


def test_exception_is_told_without_its_message(lines: Lines) -> None:
    try:
        raised(KeyError("alice@example.org"))
    except KeyError:
        logger().exception("it failed")
    (line,) = lines.objects()
    assert line["level"] == "error"
    assert line["exception"][0]["type"] == "KeyError"
    assert "raised" in line["exception"][0]["frames"][-1]
    assert b"alice" not in lines.getvalue()


def test_causes_are_told_too(lines: Lines) -> None:
    try:
        raised(StartupRefused("The port is taken."), cause=ValueError("inner"))
    except StartupRefused as error:
        logger().error("it failed", exc_info=error)
    outer, inner = lines.objects()[0]["exception"]
    assert (outer["type"], outer["message"]) == ("StartupRefused", "The port is taken.")
    assert (inner["type"], "message" in inner) == ("ValueError", False)


def test_database_error_is_told_by_its_sqlstate(lines: Lines) -> None:
    error = psycopg.errors.UniqueViolation("Key (email)=(alice@example.org) already exists.")
    logger().error("it failed", exc_info=error)
    assert lines.objects()[0]["exception"][0]["sqlstate"] == "23505"
    assert b"alice" not in lines.getvalue()


def test_messages_are_shown_to_those_who_debug() -> None:
    sink = Lines()
    configure_logging("sample", "debug", sink)
    logger().error("it failed", exc_info=(ValueError, ValueError("the reason"), None))
    structlog.reset_defaults()
    assert sink.objects()[0]["exception"][0]["message"] == "the reason"


@pytest.mark.asvs("V16.2.4")
@pytest.mark.parametrize("name", ["uvicorn.error", "psycopg.pool", "alembic.runtime.migration", "anything.else"])
def test_lines_of_libraries_look_the_same(lines: Lines, name: str) -> None:
    logging.getLogger(name).warning("connection %s lost", 7)
    (line,) = lines.objects()
    assert (line["event"], line["logger"], line["level"]) == ("connection 7 lost", name, "warning")
    assert line["service"] == "sample"


def test_exception_of_a_library_is_told_without_its_message(lines: Lines) -> None:
    try:
        raised(RuntimeError("alice@example.org"))
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("it failed")
    assert lines.objects()[0]["exception"][0]["type"] == "RuntimeError"
    assert b"alice" not in lines.getvalue()


@pytest.mark.parametrize("name", ["uvicorn.access", "httpx2", "httpcore2.connection"])
def test_libraries_do_not_tell_addresses(lines: Lines, name: str) -> None:
    logging.getLogger(name).info("GET /v1/things?after=alice")
    assert lines.objects() == []


def test_line_that_cannot_be_written_does_not_stop_the_work(
    lines: Lines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    lines.close()
    logging.getLogger("uvicorn.error").warning("lost")


def test_standard_error_is_written_to_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = StandardError()
    sink.write(b"x" * 100_000 + b"\n")
    sink.flush()
    assert len(capfdbinary.readouterr().err) == 100_001


@contextmanager
def standard_error_without_room() -> Iterator[int]:
    """Standard error is a pipe that takes some bytes, and no more until somebody reads from the yielded end."""
    kept, (outside, inside) = os.dup(2), os.pipe()
    os.set_blocking(inside, False)
    os.dup2(inside, 2)
    try:
        yield outside
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, outside, inside):
            os.close(descriptor)


def test_line_without_room_is_lost_and_the_next_one_begins_anew() -> None:
    with standard_error_without_room() as outside:
        sink = StandardError()
        sink.write(b"x" * 1_000_000 + b"\n")
        assert set(os.read(outside, 1_000_000)) == {ord("x")}
        sink.write(b"whole\n")
        sink.write(b"next\n")
        assert os.read(outside, 100) == b"\nwhole\nnext\n"


def test_two_metrics_of_one_process_do_not_meet() -> None:
    Metrics("one").counter("things", "Things.").inc()
    assert "twinlog_things_total 0.0" in _rendered_with_counter(Metrics("two"))


def _rendered_with_counter(metrics: Metrics) -> str:
    metrics.counter("things", "Things.")
    return metrics.render().decode()


def test_metric_asked_for_twice_is_the_same() -> None:
    metrics = Metrics("one")
    assert metrics.gauge("lag", "How far behind.") is metrics.gauge("lag", "How far behind.")


def test_metric_cannot_be_of_two_kinds() -> None:
    metrics = Metrics("one")
    metrics.gauge("lag", "How far behind.")
    with pytest.raises(TypeError, match="'lag' is already registered as a Gauge"):
        metrics.counter("lag", "How far behind.")


def test_process_and_build_are_measured() -> None:
    text = Metrics("one").render().decode()
    assert 'twinlog_build_info{service="one",version="' in text
    assert "process_resident_memory_bytes" in text
    assert "python_gc_objects_collected_total" in text


class Hidden(NamedTuple):
    """A value in which something is hidden that is no plain tuple."""

    inner: dict[str, str]


def test_plain_line_and_line_with_a_context_say_the_same(lines: Lines) -> None:
    fields: dict[str, Any] = {"email": "a@b.org", "count": 3, "hidden": Hidden({"password": "secret"})}
    logger().info("seen", who="somebody", **fields)
    logger().bind(who="somebody").info("seen", **fields)
    plain, bound = ({key: value for key, value in line.items() if key != "time"} for line in lines.objects())
    assert plain == bound
    assert (plain["email"], plain["hidden"]) == (REDACTED, [{"password": REDACTED}])


def test_plain_line_is_formatted_as_every_other(lines: Lines) -> None:
    logger().info("seen %s", "twice")
    assert lines.objects()[0]["event"] == "seen twice"
