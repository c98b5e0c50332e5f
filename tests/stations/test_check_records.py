"""Each check is recorded, and is a run of ``monitor_task_status`` itself."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.alerts import CheckResult, Verdict
from streamnotify.domain.monitors import SELF_CHECK
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.domain.status import Status
from streamnotify.stations import ingest, tasks
from streamnotify.stations.check_records import record_check
from streamnotify.stations.run_rows import RUN, run_key
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.task_event import parse
from streamnotify.wire.topics import DEAD_LETTERS, MONITOR_RESULTS, TASK_EVENTS
from tests.stations.an_alert import DUE, a_result
from tests.stations.fake_context import FakeContext

RUN_ID = "Reports/nightly-report/2024-01-15T14:30:00Z"


def recorded(result: CheckResult) -> FakeContext:
    """What is emitted about a check."""
    ctx = FakeContext(now=result.evaluated_at)
    record_check(result, ctx)
    return ctx


def test_a_check_is_recorded_under_its_task() -> None:
    [(key, record)] = recorded(a_result(notified=("ann@example.com",))).to(MONITOR_RESULTS)
    assert key == "nightly-report"
    assert record == {
        "monitor": "Reports",
        "task_name": "nightly-report",
        "verdict": "not_executed",
        "expected_statuses": ["Completed"],
        "lookback_hours": 1,
        "check_time": "2024-01-15T14:30:00Z",
        "evaluated_at": "2024-01-15T14:30:01Z",
        "dependent_tasks": [],
        "notified": ["ann@example.com"],
    }


@pytest.mark.parametrize("error", [None, "ValueError: nobody to tell"])
def test_its_run_is_written_as_the_model_of_events_writes_it(error: str | None) -> None:
    [(_, run)] = recorded(a_result(error=error)).to(TASK_EVENTS)
    written = json.dumps(run, separators=(",", ":")).encode()
    assert TASK_EVENTS.encode(parse(written)) == written


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict.is_of_a_check])
def test_a_check_is_a_completed_run_whatever_it_found(verdict: Verdict) -> None:
    [(key, run)] = recorded(a_result(verdict=verdict)).to(TASK_EVENTS)
    assert key == RUN_ID
    assert run == {
        "task_name": "monitor_task_status",
        "task_id": RUN_ID,
        "event_id": RUN_ID,
        "status": "Completed",
        "occurred_at": "2024-01-15T14:30:01Z",
        "started_at": "2024-01-15T14:30:01Z",
        "finished_at": "2024-01-15T14:30:01Z",
        "context": {"type": "Reports"},
        "source": "streamnotify",
    }


def test_a_check_that_failed_itself_is_a_stopped_run_with_the_error() -> None:
    ctx = recorded(a_result(error="ValueError: because"))
    [(_, run)] = ctx.to(TASK_EVENTS)
    assert (run["status"], run["error"]) == ("Stopped", "ValueError: because")
    [(_, record)] = ctx.to(MONITOR_RESULTS)
    assert (record["verdict"], record["error"]) == ("not_executed", "ValueError: because")


def test_a_check_of_the_checks_is_recorded_and_makes_no_run() -> None:
    ctx = recorded(a_result(task_name=SELF_CHECK))
    assert [key for key, _ in ctx.to(MONITOR_RESULTS)] == [SELF_CHECK]
    assert ctx.to(TASK_EVENTS) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": Verdict.SKIPPED, "count": 2, "first": DUE, "last": DUE + timedelta(hours=1)},
        {"verdict": Verdict.REFUSED, "task_name": None, "reason": "args[0]: because"},
        {"verdict": Verdict.WARNING, "reason": "lookback_hour"},
    ],
)
def test_what_was_not_checked_did_not_run(fields: dict[str, Any]) -> None:
    ctx = recorded(a_result(**fields))
    [(key, record)] = ctx.to(MONITOR_RESULTS)
    assert key == record.get("task_name", "Reports")
    assert ctx.to(TASK_EVENTS) == []


def test_the_same_check_gives_the_same_bytes() -> None:
    bytes_of = [[(key, json.dumps(value)) for _, key, value in recorded(a_result()).emitted] for _ in range(2)]
    assert bytes_of[0] == bytes_of[1]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"error": "ValueError: " + "x" * 10_000},
        {"monitor": "m" * 255, "task_name": "t" * 255},
        {"monitor": 'a/"\\ é', "task_name": "\u2028"},
    ],
)
def test_the_run_is_taken_in_like_any_other(fields: dict[str, Any]) -> None:
    """It counts from when the check was recorded, so that a check of the checks that comes later sees it."""
    result = a_result(**fields)
    [(_, event)] = recorded(result).to(TASK_EVENTS)
    engine = MemoryEngine([ingest.station(IngestPolicy()), tasks.station(TasksPolicy())], start=result.evaluated_at)
    engine.put(TASK_EVENTS, event)
    assert engine.records(DEAD_LETTERS) == []
    run = engine.state("tasks").get(RUN, run_key(SELF_CHECK, event["task_id"]))
    assert run is not None
    assert run.started_at == run.finished_at == result.evaluated_at
    assert run.status is (Status.COMPLETED if result.error is None else Status.STOPPED)
