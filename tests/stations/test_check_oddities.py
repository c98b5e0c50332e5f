"""Checks under odd conditions: edits while they wait, runs that change, contexts, long windows, wrong clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamnotify.domain.monitors import TaskCheck
from streamnotify.domain.runs import RunContext
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.status import Status
from streamnotify.stations.checks import MOST_LOOKED_AT, TOO_MANY_RUNS, find
from streamnotify.stations.run_rows import facet_of, note_sighting, sightings
from streamnotify.wire.commands import NotifyTask, ReportLateCheck
from streamnotify.wire.topics import DEAD_LETTERS, TASK_EVENTS
from tests.domain.run_builders import T0, an_update
from tests.e2e.in_memory import InMemoryProduct
from tests.stations.checked_tasks import HOUR, MINUTE, SYNC, Deployment
from tests.stations.fake_context import NOW, FakeContext

DAY = 24 * HOUR
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
T = {"expected_statuses": ["Completed"]}
HOURLY = {"interval": {"every": 1, "period": "hours"}}


def test_on_change_alert_nobody_got_is_told_once_there_is_a_superuser() -> None:
    p = InMemoryProduct(START)
    p.monitor("m", [{"t": T | {"notify": "on_change"}}], **HOURLY)
    p.advance(hours=1.5)
    p.user("u", email="su@example.com", is_superuser=True)
    p.advance(hours=2)
    assert p.mails() == [("su@example.com", "[ALERT] t Has Not Executed")]


def test_lowering_grace_reports_no_outage() -> None:
    d = Deployment()
    d.define(grace_minutes=60.0)
    d.advance(HOUR + 30 * MINUTE)
    d.define(grace_minutes=0)
    d.advance(MINUTE)
    assert d.told(ReportLateCheck) == []


def test_lowering_grace_skips_no_check() -> None:
    d = Deployment()
    d.define(Schedule(every=30 * MINUTE), grace_minutes=120.0)
    d.advance(100 * MINUTE)
    d.define(Schedule(every=30 * MINUTE), grace_minutes=0)
    d.advance(MINUTE)
    assert "skipped" not in d.verdicts


def test_grace_is_not_part_of_an_outage() -> None:
    d = Deployment()
    d.define(Schedule(every=DAY), grace_minutes=480.0)
    d.advance(DAY + 474 * MINUTE)
    d.engine.now += 16 * MINUTE  # an outage of ours, from before the check was to be made
    d.advance(MINUTE)
    [late] = d.told(ReportLateCheck)
    assert late.late.until - late.late.since <= 30 * MINUTE


def test_a_run_that_waits_for_its_second_attempt_has_started() -> None:
    d = Deployment()
    d.define()
    d.advance(10 * MINUTE)
    d.event("Running", "R")
    d.advance(5 * MINUTE)
    d.event("Stopped", "R", final=False)
    d.event("Queued", "R", attempt=2)
    d.advance(45 * MINUTE)
    assert d.verdicts == ["status_mismatch"]


def test_a_run_that_never_starts_does_not_push_out_the_newest_started_one() -> None:
    d = Deployment()
    d.event("Completed", "A")
    d.advance(DAY)
    d.event("Queued", "B")
    d.advance(19 * DAY)
    d.define(lookback_hours=840.0)
    d.advance(HOUR)
    assert d.verdicts == ["ok"]


def test_nor_one_of_another_context_in_the_end() -> None:
    d = Deployment()
    d.event("Completed", "A", context={"type": "X"})
    d.advance(DAY)
    d.event("Running", "B", context={"type": "X"})
    d.advance(MINUTE)
    d.event("Completed", "B", context={"type": "Y"})
    d.advance(17 * DAY)
    d.define(lookback_hours=840.0, context_type="X")
    d.advance(HOUR)
    assert d.verdicts == ["ok"]


def test_nor_one_that_turns_out_to_be_older() -> None:
    d = Deployment()
    d.advance(10 * HOUR)
    d.event("Completed", "A")
    d.advance(2 * HOUR)
    d.event("Stopped", "B")
    d.event("Stopped", "B", started_at=(d.engine.now - 4 * HOUR).isoformat())
    d.advance(15 * DAY)
    d.define(lookback_hours=840.0)
    d.advance(HOUR)
    assert d.verdicts == ["ok"]


def test_nor_one_with_the_same_start() -> None:
    d = Deployment()
    at = d.engine.now.isoformat()
    d.event("Stopped", "a", started_at=at)
    d.event("Completed", "b", started_at=at)  # checks take this one ...
    d.advance(15 * DAY)
    d.define(lookback_hours=840.0)  # ... and forget it first
    d.advance(HOUR)
    assert d.verdicts == ["ok"]


def test_a_window_of_35_days_and_its_grace() -> None:
    d = Deployment()
    d.event("Completed", "A")
    d.advance(34 * DAY)
    d.define(Schedule(every=timedelta(hours=23.5)), lookback_hours=840.0, grace_minutes=120.0)
    d.advance(DAY + 2 * HOUR)
    assert d.verdicts == ["ok"]


def test_a_start_in_the_year_9999_does_not_lose_the_mail_of_an_interrupted_run() -> None:
    d = Deployment()
    event = {"task_name": SYNC, "task_id": "x", "status": "Running", "interrupted": True, "redelivery_s": 5}
    d.engine.put(TASK_EVENTS, event | {"started_at": "9999-12-31T00:00:00Z", "notify": {"email": "a@example.com"}})
    d.advance(MINUTE)
    assert d.engine.records(DEAD_LETTERS) == []
    assert len(d.told(NotifyTask)) == 1


def test_a_check_that_waits_in_grace_survives_a_new_schedule_or_is_recorded() -> None:
    d = Deployment()
    d.define(grace_minutes=30.0)
    d.advance(HOUR + 10 * MINUTE)
    d.define(Schedule(every=2 * HOUR), grace_minutes=30.0)
    d.advance(HOUR)
    assert [r["check_time"] for r in d.results] == ["2026-01-05T13:00:00Z"]


def test_check_ids_differ() -> None:
    p = InMemoryProduct(START)
    p.monitor("a/b", [{"c": T | {"notify_to": ["x@example.com"]}}], **HOURLY)
    p.monitor("a", [{"b/c": T | {"notify_to": ["x@example.com"]}}], **HOURLY)
    p.advance(hours=1.01)
    ids = [record.json()["task_id"] for record in p.engine.records(TASK_EVENTS)]
    assert len(set(ids)) == 2


def test_a_check_that_failed_in_the_hold_is_seen_as_stopped_by_its_watcher() -> None:
    p = InMemoryProduct(START)
    p.monitor("m", [{"t": T}], crontab="5 * * * *")
    watched = T | {"context_type": "m", "notify_to": ["w@example.com"], "lookback_hours": 1}
    p.monitor("w", [{"monitor_task_status": watched}], crontab="6 * * * *")
    p.advance(hours=2.2)
    assert p.verdicts("monitor_task_status")[-1] == "status_mismatch"


def test_a_daily_reminder_comes_on_the_day_with_23_hours() -> None:
    p = InMemoryProduct(datetime(2026, 3, 26, tzinfo=UTC))
    daily = T | {"notify_to": ["x@example.com"], "notify": "on_change", "remind_hours": 24}
    p.monitor("m", [{"t": daily}], crontab="30 6 * * *", timezone="Europe/Rome")
    p.advance(days=6)
    assert len(p.mails()) == 6


def test_so_many_superusers_with_long_addresses_and_names_that_no_record_holds_a_mail_to_each() -> None:
    """400 KB of them: half a chunk."""
    p = InMemoryProduct(START)
    for i in range(800):
        p.user(f"u{i}", email=f"user{i}@{'.'.join(['c' * 60] * 3)}.com", name="Ann" * 80, is_superuser=True)
    p.monitor("m", [{"t": T}], **HOURLY)
    p.advance(hours=1.02)
    assert len(p.mails()) == 800
    assert p.results[0]["notified"][-1].endswith(" more")


def test_a_check_that_would_look_at_too_many_runs_of_others_does_not_know() -> None:
    """One organization's model among a hundred thousand runs of another."""
    ctx = FakeContext()
    for number in range(MOST_LOOKED_AT + 1):
        note_sighting("t", f"{number}", None, an_update(Status.COMPLETED).facts, ctx)
    result = find("m", "t", TaskCheck((Status.COMPLETED,), context_model="other"), NOW, ctx)
    assert (result.verdict, result.reason) == ("unknown", TOO_MANY_RUNS)


@pytest.mark.parametrize(
    "expected",
    [
        TaskCheck((Status.COMPLETED,), context_type="rare"),
        TaskCheck((Status.COMPLETED,), organization_id="rare"),
    ],
)
def test_the_runs_of_one_type_or_organization_are_found_among_their_own(expected: TaskCheck) -> None:
    """However many others have run since."""
    ctx = FakeContext()
    rare = an_update(Status.COMPLETED, context=RunContext(type="rare"), organization_id="rare")
    note_sighting("t", "rare", None, rare.facts, ctx)
    for number in range(10):
        note_sighting("t", f"{number}", None, an_update(Status.COMPLETED, 1).facts, ctx)
    assert [task_id for _, task_id, _ in sightings("t", T0, NOW, ctx, facet_of(expected))] == ["rare"]
