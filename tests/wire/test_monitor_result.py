"""monitor-results: what a check's record says, and what it leaves out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.alerts import CheckResult, Verdict
from streamnotify.domain.status import Status
from streamnotify.wire.monitor_result import MonitorResult, from_result
from streamnotify.wire.schemas import schema_text
from streamnotify.wire.topics import MONITOR_RESULTS

AT = datetime(2026, 1, 5, 12, 5, tzinfo=UTC)


def record(verdict: Verdict, **fields: Any) -> dict[str, Any]:
    """What lies on the topic, valid by its schema."""
    result = CheckResult("Monitor A", verdict, AT, AT + timedelta(seconds=3), **fields)
    value: dict[str, Any] = json.loads(MONITOR_RESULTS.encode(from_result(result)))
    jsonschema.validate(value, json.loads(schema_text("monitor-results")))
    return value


def test_a_check_is_recorded_with_everything_it_was_about() -> None:
    assert record(
        Verdict.STATUS_MISMATCH,
        task_name="ingestor_session",
        context_model="gap.models.IngestorSession",
        context_type="Hourly Tomorrow.io",
        reason="Stopped is not expected",
        error="ValueError: nobody to tell",
        current_status="Stopped",
        expected_statuses=("Completed", "Running"),
        lookback_hours=2.0,
        task_id="42",
        started_at=AT - timedelta(hours=1),
        finished_at=AT - timedelta(minutes=30),
        dependent_tasks=("forecast_processing",),
        notified=("weather-team@example.com",),
    ) == {
        "monitor": "Monitor A",
        "task_name": "ingestor_session",
        "context_model": "gap.models.IngestorSession",
        "context_type": "Hourly Tomorrow.io",
        "verdict": "status_mismatch",
        "reason": "Stopped is not expected",
        "error": "ValueError: nobody to tell",
        "current_status": "Stopped",
        "expected_statuses": ["Completed", "Running"],
        "lookback_hours": 2,
        "task_id": "42",
        "started_at": "2026-01-05T11:05:00Z",
        "finished_at": "2026-01-05T11:35:00Z",
        "check_time": "2026-01-05T12:05:00Z",
        "evaluated_at": "2026-01-05T12:05:03Z",
        "dependent_tasks": ["forecast_processing"],
        "notified": ["weather-team@example.com"],
    }


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.STATUS_MISMATCH, Verdict.NOT_EXECUTED, Verdict.UNKNOWN])
def test_that_a_check_told_nobody_is_said(verdict: Verdict) -> None:
    value = record(verdict, task_name="t", expected_statuses=("Completed",))
    assert (value["notified"], value["dependent_tasks"]) == ([], [])
    assert "current_status" not in value


def test_skipped_checks_are_one_record_with_their_number() -> None:
    value = record(Verdict.SKIPPED, task_name="t", count=3, first=AT - timedelta(hours=3), last=AT - timedelta(hours=1))
    assert (value["count"], value["first"], value["last"]) == (3, "2026-01-05T09:05:00Z", "2026-01-05T11:05:00Z")
    assert "notified" not in value


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.WARNING])
def test_what_is_said_about_a_monitors_record_speaks_of_no_task(verdict: Verdict) -> None:
    assert record(verdict, reason="crontab: Bad minute") == {
        "monitor": "Monitor A",
        "verdict": verdict.value,
        "reason": "crontab: Bad minute",
        "check_time": "2026-01-05T12:05:00Z",
        "evaluated_at": "2026-01-05T12:05:03Z",
    }


@pytest.mark.parametrize(("hours", "written"), [(1.0, "1"), (1.5, "1.5"), (840.0, "840")])
def test_hours_are_written_as_people_write_them(hours: float, written: str) -> None:
    result = CheckResult("m", Verdict.OK, AT, AT, lookback_hours=hours)
    assert f'"lookback_hours":{written},' in MONITOR_RESULTS.encode(from_result(result)).decode()


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
TIMES = st.datetimes(timezones=st.just(UTC))
CHECKS = st.builds(
    CheckResult,
    monitor=NAMES,
    verdict=st.sampled_from(Verdict),
    check_time=TIMES,
    evaluated_at=TIMES,
    task_name=NAMES | st.none(),
    reason=NAMES | st.none(),
    current_status=st.sampled_from(Status) | st.none(),
    expected_statuses=st.tuples() | st.tuples(st.sampled_from(Status)),
    lookback_hours=st.floats(0.001, 840) | st.integers(1, 840).map(float) | st.none(),
    started_at=TIMES | st.none(),
    dependent_tasks=st.tuples() | st.tuples(NAMES, NAMES),
    notified=st.tuples() | st.tuples(NAMES),
    count=st.integers(1, 10_000) | st.none(),
)


@given(CHECKS)
def test_what_is_written_without_the_model_is_what_the_model_writes(result: CheckResult) -> None:
    written = MONITOR_RESULTS.encode(from_result(result))
    assert MONITOR_RESULTS.encode(MonitorResult.model_validate_json(written)) == written


def test_who_is_told_or_why_nobody_is_may_be_said_beside_the_result() -> None:
    result = CheckResult("m", Verdict.NOT_EXECUTED, AT, AT)
    told = json.loads(MONITOR_RESULTS.encode(from_result(result, reason="silenced", notified=("ann@example.com",))))
    assert (told["reason"], told["notified"]) == ("silenced", ["ann@example.com"])
    own = CheckResult("m", Verdict.NOT_EXECUTED, AT, AT, reason="events of the window are lost")
    assert json.loads(MONITOR_RESULTS.encode(from_result(own, reason="silenced")))["reason"] == own.reason
