"""The tasks station's checks on the in-memory engine: windows, due times, records, who is told (SPEC section 5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.monitors import Tell
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.status import Status
from streamnotify.stations.checks import CHECK
from streamnotify.testing.memory import START
from streamnotify.wire.commands import (
    AskCheck,
    AskMonitor,
    AskRuns,
    CheckAnswer,
    DefineMonitor,
    NoteLoss,
    ReportLateCheck,
    TellSuperusers,
)
from streamnotify.wire.monitor_tasks import MOST_NAMED
from streamnotify.wire.topics import DEAD_LETTERS, TASK_EVENTS
from tests.stations.checked_tasks import HOUR, MINUTE, SYNC, Deployment, check


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def test_a_task_never_seen_has_not_executed_from_the_first_check_on(deployment: Deployment) -> None:
    deployment.define()
    deployment.advance(HOUR - timedelta(milliseconds=1))
    assert deployment.results == []
    deployment.advance(timedelta(milliseconds=1))
    [result] = deployment.results
    due = "2026-01-05T13:00:00Z"
    assert result == {
        "monitor": "watch",
        "task_name": SYNC,
        "verdict": "not_executed",
        "expected_statuses": ["Completed"],
        "lookback_hours": 1,
        "check_time": due,
        "evaluated_at": due,
        "dependent_tasks": [],
        "notified": ["ops@example.com"],
    }
    assert deployment.mails() == [(ALERT, "ops@example.com", None)]


def test_a_run_that_ended_as_expected_is_ok(deployment: Deployment) -> None:
    deployment.define()
    deployment.event("Running")
    deployment.advance(30 * MINUTE)
    deployment.event("Completed")
    deployment.advance(30 * MINUTE)
    [result] = deployment.results
    assert (result["verdict"], result["task_id"], result["current_status"]) == ("ok", "run-1", "Completed")
    assert (result["started_at"], result["finished_at"]) == ("2026-01-05T12:00:00Z", "2026-01-05T12:30:00Z")
    assert deployment.mails() == []


def test_the_newest_run_counts_and_not_one_that_ended_well_before(deployment: Deployment) -> None:
    deployment.define()
    deployment.advance(10 * MINUTE)
    deployment.event("Completed", "early")
    deployment.advance(10 * MINUTE)
    deployment.event("Stopped", "late")
    deployment.advance(40 * MINUTE)
    assert (deployment.verdicts, deployment.results[0]["task_id"]) == (["status_mismatch"], "late")
    assert deployment.mails() == [(ALERT, "ops@example.com", "Stopped")]


@pytest.mark.parametrize(
    ("started_before_the_due_time", "verdict"),
    [
        (HOUR + timedelta(microseconds=1), "not_executed"),
        (HOUR, "ok"),
        (timedelta(seconds=1), "ok"),
        (timedelta(0), "ok"),
    ],
)
def test_both_ends_of_the_window_belong_to_it(
    started_before_the_due_time: timedelta, verdict: str, deployment: Deployment
) -> None:
    deployment.define()
    started = (START + HOUR - started_before_the_due_time).isoformat(timespec="microseconds")
    deployment.event("Completed", started_at=started)
    deployment.advance(HOUR)
    assert deployment.verdicts == [verdict]


def test_a_run_that_starts_after_the_due_time_is_for_the_next_check(deployment: Deployment) -> None:
    deployment.define()
    after = (START + HOUR + timedelta(microseconds=1)).isoformat(timespec="microseconds")
    deployment.event("Completed", started_at=after)
    deployment.advance(2 * HOUR)
    assert deployment.verdicts == ["not_executed", "ok"]


def test_completed_before_running_and_everything_twice_is_one_run_that_completed(deployment: Deployment) -> None:
    """research/features.md D15."""
    deployment.define()
    deployment.advance(10 * MINUTE)
    for _ in range(2):
        deployment.event("Completed")
        deployment.event("Running", ago=MINUTE)
        deployment.event("Pending", ago=2 * MINUTE)
    deployment.advance(50 * MINUTE)
    assert deployment.verdicts == ["ok"]


def test_a_retry_storm_is_one_run_whose_last_attempt_counts(deployment: Deployment) -> None:
    deployment.define()
    for attempt in range(1, 6):
        deployment.event("Running", attempt=attempt)
        deployment.event("Stopped", attempt=attempt, final=False)
    deployment.event("Completed", attempt=6)
    deployment.advance(HOUR)
    assert deployment.verdicts == ["ok"]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [(("Completed",), "not_executed"), (("Completed", "Queued"), "ok"), (("Pending",), "status_mismatch")],
)
def test_a_run_that_has_not_started_counts_only_where_that_is_expected(
    statuses: tuple[str, ...], verdict: str, deployment: Deployment
) -> None:
    deployment.define(expected_statuses=tuple(Status(name) for name in statuses))
    deployment.advance(MINUTE)
    deployment.event("Queued", queued_at=(START + MINUTE).isoformat())
    deployment.advance(HOUR - MINUTE)
    assert deployment.verdicts == [verdict]


def test_a_queued_run_that_starts_is_found_by_its_start(deployment: Deployment) -> None:
    deployment.define(expected_statuses=(Status.QUEUED, Status.RUNNING), lookback_hours=0.5)
    deployment.event("Queued")
    deployment.advance(40 * MINUTE)
    deployment.event("Running")
    deployment.advance(20 * MINUTE)
    assert (deployment.verdicts, deployment.results[0]["current_status"]) == (["ok"], "Running")


def test_only_runs_of_the_context_and_organization_are_seen(deployment: Deployment) -> None:
    """The newest matching run counts, not the newest run."""
    deployment.define(
        context_model="gap.models.IngestorSession", context_type="Hourly Tomorrow.io", organization_id="a"
    )
    context = {"model": "gap.models.IngestorSession", "ingestor_type": "Hourly Tomorrow.io", "id": "42"}
    deployment.event("Completed", "ours", context=context, organization_id="a")
    deployment.advance(MINUTE)
    deployment.event("Stopped", "other type", context=context | {"ingestor_type": "Daily"}, organization_id="a")
    deployment.event("Stopped", "other organization", context=context, organization_id="b")
    deployment.event("Stopped", "none")
    deployment.advance(HOUR - MINUTE)
    assert (deployment.verdicts, deployment.results[0]["task_id"]) == (["ok"], "ours")


def test_with_a_grace_the_check_is_made_later_and_sees_what_started_meanwhile(deployment: Deployment) -> None:
    deployment.define(grace_minutes=10)
    deployment.advance(HOUR + 9 * MINUTE)
    deployment.event("Completed")
    assert deployment.results == []
    deployment.advance(MINUTE)
    [result] = deployment.results
    assert (result["verdict"], result["check_time"]) == ("ok", "2026-01-05T13:00:00Z")
    deployment.advance(HOUR)
    assert [each["check_time"][11:16] for each in deployment.results] == ["13:00", "14:00"]


def test_each_recipient_gets_a_mail_and_superusers_only_where_nobody_is_named(deployment: Deployment) -> None:
    deployment.define_tasks({SYNC: check(notify_to=("a@example.com", "b@example.com")), "other": check(notify_to=())})
    deployment.advance(HOUR)
    assert sorted(each.alert.email for each in deployment.told()) == ["a@example.com", "b@example.com"]
    [others] = deployment.told(TellSuperusers)
    assert (others.result.task_name, others.alert.email) == ("other", None)
    [result] = deployment.results  # the other one is recorded once it is known who the superusers are
    assert result["notified"] == ["a@example.com", "b@example.com"]


def test_on_change_tells_of_an_incident_once_and_of_its_end(deployment: Deployment) -> None:
    deployment.define(notify=Tell.ON_CHANGE)
    deployment.advance(3 * HOUR)
    deployment.event("Completed")
    deployment.advance(2 * HOUR)
    assert deployment.verdicts == ["not_executed"] * 3 + ["ok", "not_executed"]
    assert [kind for kind, _, _ in deployment.mails()] == [ALERT, RECOVERY, ALERT]
    assert [each.get("reason") for each in deployment.results] == [None, "already_told", "already_told", None, None]


def test_a_silenced_check_is_recorded_and_tells_nobody(deployment: Deployment) -> None:
    deployment.define(silence_until=START + 2 * HOUR)
    deployment.advance(2 * HOUR)
    assert [each.get("reason") for each in deployment.results] == ["silenced", None]
    assert [each["notified"] for each in deployment.results] == [[], ["ops@example.com"]]


def test_each_check_is_a_run_of_its_own_that_another_monitor_can_watch(deployment: Deployment) -> None:
    deployment.define()
    watching = {"monitor_task_status": check(context_type="watch", lookback_hours=2)}
    deployment.define_tasks(watching, Schedule(every=90 * MINUTE), name="watch the watch")
    deployment.advance(90 * MINUTE)
    [event] = [event for event in deployment.engine.values(TASK_EVENTS) if event["task_name"] == "monitor_task_status"]
    assert event["task_id"] == f"watch/{SYNC}/2026-01-05T13:00:00Z"
    assert (event["status"], event["context"]["type"]) == ("Completed", "watch")
    assert deployment.verdicts == ["not_executed", "ok"]  # and its own checks are not published again


def test_publishing_again_and_editing_send_nothing_and_keep_the_phase(deployment: Deployment) -> None:
    """research/features.md D17."""
    deployment.define()
    deployment.advance(50 * MINUTE)
    deployment.define()
    deployment.define(lookback_hours=2)
    assert deployment.results == []
    deployment.advance(10 * MINUTE)
    [result] = deployment.results
    assert (result["check_time"], result["lookback_hours"]) == ("2026-01-05T13:00:00Z", 2)


def test_another_schedule_counts_from_when_it_was_given(deployment: Deployment) -> None:
    deployment.define()
    deployment.advance(50 * MINUTE)
    deployment.define(Schedule(every=30 * MINUTE))
    deployment.advance(30 * MINUTE)
    assert [each["check_time"] for each in deployment.results] == ["2026-01-05T13:20:00Z"]


def test_a_monitor_that_is_disabled_rests_and_begins_anew_when_enabled(deployment: Deployment) -> None:
    deployment.define()
    deployment.advance(30 * MINUTE)
    deployment.define(enabled=False)
    deployment.advance(3 * HOUR)
    assert deployment.results == []
    deployment.define()
    deployment.advance(HOUR)
    assert [each["check_time"] for each in deployment.results] == ["2026-01-05T16:30:00Z"]


def test_a_task_taken_out_and_a_monitor_removed_are_checked_no_more(deployment: Deployment) -> None:
    deployment.define_tasks({SYNC: check(), "other": check()})
    deployment.define_tasks({SYNC: check()})
    deployment.advance(HOUR)
    assert [each["task_name"] for each in deployment.results] == [SYNC]
    deployment.tell(DefineMonitor("watch", None))
    deployment.advance(3 * HOUR)
    assert len(deployment.results) == 1
    assert deployment.engine.state("tasks").items(CHECK) == {}


def test_a_crontab_is_read_in_its_zone(deployment: Deployment) -> None:
    deployment.define(Schedule(crontab="35 8 * * *", timezone="America/New_York"))
    deployment.advance(timedelta(days=2))
    assert [each["check_time"] for each in deployment.results] == ["2026-01-05T13:35:00Z", "2026-01-06T13:35:00Z"]


def outage(deployment: Deployment, duration: timedelta) -> None:
    """No time passes for the station: its wakes come only after ``duration``."""
    deployment.engine.now += duration


def test_after_an_outage_the_latest_check_is_made_as_of_its_due_time_and_the_others_are_one_record(
    deployment: Deployment,
) -> None:
    deployment.define(Schedule(every=30 * MINUTE))
    deployment.event("Completed", "before")
    outage(deployment, 2 * HOUR + MINUTE)
    deployment.event("Completed", "during", started_at=(START + 100 * MINUTE).isoformat())
    deployment.advance(timedelta(0))
    skipped, made = deployment.results
    assert (skipped["verdict"], skipped["count"]) == ("skipped", 3)
    assert (skipped["first"], skipped["last"]) == ("2026-01-05T12:30:00Z", "2026-01-05T13:30:00Z")
    assert (made["verdict"], made["check_time"], made["task_id"]) == ("ok", "2026-01-05T14:00:00Z", "during")
    assert made["evaluated_at"] == "2026-01-05T14:01:00Z"
    [report] = deployment.told(ReportLateCheck)
    assert (report.late.skipped, report.late.wrong) == (3, None)
    assert report.late.since == datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
    deployment.advance(30 * MINUTE)
    assert deployment.verdicts[2:] == ["ok"]


def test_where_events_are_known_to_be_lost_nothing_is_said_to_be_missing(deployment: Deployment) -> None:
    """A check that looks back beyond the loss does not know; what it does find still counts."""
    deployment.define_tasks({SYNC: check(), "other": check()})
    deployment.event("Completed")
    deployment.tell(NoteLoss(START + timedelta(microseconds=1)))
    deployment.tell(NoteLoss(START - HOUR))
    deployment.advance(2 * HOUR)
    verdicts = sorted((each["task_name"], each["check_time"], each["verdict"]) for each in deployment.results)
    assert [verdict for _, _, verdict in verdicts] == ["ok", "not_executed", "unknown", "not_executed"]
    assert len(deployment.mails()) == 2


def test_a_task_that_truly_did_not_run_during_an_outage_is_told_once(deployment: Deployment) -> None:
    deployment.define()
    outage(deployment, 5 * HOUR)
    deployment.advance(timedelta(0))
    assert deployment.verdicts == ["skipped", "not_executed"]
    assert len(deployment.mails()) == 1
    [report] = deployment.told(ReportLateCheck)
    assert (report.late.wrong.task_name, report.late.wrong.current_status) == (SYNC, None)


def test_a_check_some_seconds_late_is_no_outage(deployment: Deployment) -> None:
    """With an interval of seconds several are due at once, and each is made."""
    deployment.define(Schedule(every=timedelta(seconds=2)))
    outage(deployment, timedelta(seconds=7))
    deployment.advance(timedelta(0))
    assert deployment.verdicts == ["not_executed"] * 3
    assert deployment.told(ReportLateCheck) == []


def test_checks_that_do_not_fit_into_one_chunk_follow_one_another(deployment: Deployment) -> None:
    """100 people to tell of each of 30 checks that are due at once."""
    people = tuple(f"person{number}@example.com" for number in range(100))
    deployment.define(Schedule(every=timedelta(seconds=2)), notify_to=people, dependent_tasks=("d" * 100,) * 10)
    outage(deployment, timedelta(seconds=60))
    deployment.advance(timedelta(seconds=1))
    assert deployment.verdicts == ["not_executed"] * 30
    assert len({each.alert.notification_id for each in deployment.told()}) == 3000
    assert deployment.engine.records(DEAD_LETTERS) == []


def test_what_runs_a_check_sees_can_be_asked(deployment: Deployment) -> None:
    deployment.event("Running", "one")
    deployment.advance(MINUTE)
    deployment.event("Completed", "two", context={"type": "Hourly"})
    deployment.tell(AskRuns("q", SYNC, START, 10))
    seen = [(run.task_id, run.status, run.at, run.context_type) for run in deployment.answer().runs]
    assert seen == [("two", "Completed", START + MINUTE, "Hourly"), ("one", "Running", START, None)]
    deployment.tell(AskRuns("q", SYNC, START, 1))
    assert (len(deployment.answer().runs), deployment.answer().more) == (1, True)


def test_an_answer_of_runs_with_the_longest_names_fits_into_one_chunk(deployment: Deployment) -> None:
    context = {"model": "é" * 255, "type": "ü" * 255}
    for number in range(600):
        deployment.event("Completed", f"{number:03}" + "ö" * 252, context=context, organization_id="ä" * 255)
    deployment.tell(AskRuns("q", SYNC, START, 1000))
    assert (100 < len(deployment.answer().runs) < 600, deployment.answer().more) == (True, True)


def test_how_a_check_stands_can_be_asked_and_changes_nothing(deployment: Deployment) -> None:
    deployment.define(notify=Tell.ON_CHANGE)
    deployment.advance(90 * MINUTE)
    deployment.tell(AskCheck("q", "watch", SYNC))
    answer = deployment.answer()
    assert (answer.last_verdict, answer.last_checked_at) == ("not_executed", START + HOUR)
    assert answer.next_due == START + 2 * HOUR
    assert (answer.now.verdict, answer.now.check_time) == ("not_executed", START + 90 * MINUTE)
    assert (len(deployment.results), len(deployment.mails())) == (1, 1)
    deployment.tell(AskMonitor("q", "watch"))
    assert deployment.answer().monitor.tasks.keys() == {SYNC}


def test_a_check_made_by_hand_is_recorded_and_told_only_if_that_is_wanted(deployment: Deployment) -> None:
    deployment.tell(AskCheck("q", "by hand", SYNC, check()))
    assert deployment.results == []
    deployment.tell(AskCheck("q", "by hand", SYNC, check(), notify=True))
    assert deployment.verdicts == ["not_executed"]
    assert deployment.mails() == [(ALERT, "ops@example.com", None)]


def test_what_nobody_monitors_has_no_answer(deployment: Deployment) -> None:
    deployment.tell(AskCheck("q", "watch", SYNC))
    assert deployment.answer() == CheckAnswer("q", None)
    deployment.tell(AskMonitor("q", "watch"))
    assert deployment.answer().monitor is None


def test_a_check_takes_less_than_a_kilobyte(deployment: Deployment) -> None:
    """What monitors of ordinary size keep, with their wakes (issue 5, must-hold 5)."""
    deployment.define(dependent_tasks=("data_processing", "data_export"), context_type="Hourly Tomorrow.io")
    deployment.advance(HOUR)
    rows = deployment.engine.state("tasks").rows
    own = {key: value for key, value in rows.items() if b"watch" in key and b"monitor_task_status" not in key}
    of_monitor = sum(len(key) + len(value) for key, value in own.items())
    assert 0 < of_monitor < 1000


def test_the_largest_alerts_that_are_accepted_fit_into_one_chunk(deployment: Deployment) -> None:
    """100 mails that each name 2,500 bytes of dependent tasks."""
    people = tuple(f"person{number:03}@{'long' * 15}.example.com" for number in range(100))
    dependents = tuple(f"{number:02}" + "d" * 98 for number in range(MOST_NAMED // 100 // 100))
    deployment.define(notify_to=people, dependent_tasks=dependents)
    deployment.advance(HOUR)
    assert len(deployment.told()) == 100
    assert deployment.engine.records(DEAD_LETTERS) == []
