"""The headers of a dead letter (SPEC 2.4)."""

from __future__ import annotations

from datetime import UTC, datetime

from streamnotify.errors import BadRecord
from streamnotify.wire.dead_letter import STACKTRACE_LIMIT, dead_letter_headers


def headers_of(error: BaseException) -> dict[str, str]:
    headers = dead_letter_headers(
        topic="task-events",
        partition=3,
        offset=42,
        stage="ingest",
        error=error,
        attempts=1,
        failed_at=datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC),
    )
    assert len(dict(headers)) == len(headers)
    return {name: value.decode() for name, value in headers}


def test_a_bad_record_gives_reason_and_field() -> None:
    headers = headers_of(BadRecord("no e-mail address", "notify.email"))
    trace = headers.pop("__streams.errors.stacktrace")
    assert "BadRecord" in trace
    assert headers == {
        "__streams.errors.topic": "task-events",
        "__streams.errors.partition": "3",
        "__streams.errors.offset": "42",
        "__streams.errors.exception": "streamnotify.errors.BadRecord",
        "__streams.errors.message": "notify.email: no e-mail address",
        "sn-stage": "ingest",
        "sn-error-class": "poison",
        "sn-reason": "no e-mail address",
        "sn-field": "notify.email",
        "sn-attempts": "1",
        "sn-failed-at": "2024-01-15T14:30:25+00:00",
        "sn-replay-count": "0",
    }


def test_a_record_that_is_wrong_as_a_whole_names_no_field() -> None:
    assert "sn-field" not in headers_of(BadRecord("the record is empty"))


def test_any_other_error_means_that_the_tries_are_exhausted() -> None:
    headers = headers_of(KeyError())
    assert (headers["sn-error-class"], headers["sn-reason"]) == ("exhausted", "KeyError")


def test_a_long_trace_keeps_its_end() -> None:
    trace = headers_of(ValueError("x" * 10_000 + "the end"))["__streams.errors.stacktrace"]
    assert len(trace) == STACKTRACE_LIMIT
    assert trace.endswith("the end\n")


def test_text_that_utf_8_cannot_carry_is_no_obstacle() -> None:
    assert headers_of(ValueError("\ud800"))["sn-reason"] == "?"
