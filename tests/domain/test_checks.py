"""What a check concludes: incidents, who is told again, silences, recoveries (SPEC 2.2 and 5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, RECOVERY, Verdict
from streamnotify.domain.checks import (
    ALREADY_TOLD,
    SILENCED,
    Check,
    Conclusion,
    Incident,
    conclude,
    define,
    is_seen,
    verdict_on,
)
from streamnotify.domain.monitors import TaskCheck, Tell
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.sightings import Sighting
from streamnotify.domain.status import Status
from tests.domain.run_builders import T0

OK, MISMATCH, NONE, UNKNOWN = Verdict.OK, Verdict.STATUS_MISMATCH, Verdict.NOT_EXECUTED, Verdict.UNKNOWN
HOUR = timedelta(hours=1)
COMPLETED = (Status.COMPLETED,)
HOURLY = Schedule(every=HOUR)


def expected(**fields: Any) -> TaskCheck:
    return TaskCheck(**{"expected_statuses": COMPLETED} | fields)


def on_change(**fields: Any) -> TaskCheck:
    return expected(notify=Tell.ON_CHANGE, **fields)


def course(check: TaskCheck, *verdicts: Verdict) -> list[str | None]:
    """The mails of hourly checks with these verdicts, the first due at T0."""
    incident: Incident | None = None
    mails = []
    for hours, verdict in enumerate(verdicts):
        conclusion = conclude(incident, check, T0 + hours * HOUR, verdict)
        incident = conclusion.incident
        mails.append(conclusion.mail)
    return mails


def test_every_failure_is_mailed_and_no_recovery() -> None:
    assert course(expected(), MISMATCH, NONE, OK, NONE) == [ALERT, ALERT, None, ALERT]


def test_on_change_mails_once_per_incident_and_then_that_it_is_over() -> None:
    """Not executed and ended wrong are the same incident."""
    assert course(on_change(), OK, MISMATCH, NONE, MISMATCH, OK, OK, NONE) == [
        None, ALERT, None, None, RECOVERY, None, ALERT,
    ]  # fmt: skip


def test_remind_hours_mails_again_while_it_lasts() -> None:
    check = on_change(remind_hours=2)
    assert course(check, NONE, NONE, NONE, NONE, NONE, OK) == [ALERT, None, ALERT, None, ALERT, RECOVERY]


def test_why_nobody_is_told_is_said() -> None:
    told = conclude(None, on_change(), T0, NONE)
    assert told == Conclusion(Incident(T0, T0), ALERT)
    assert conclude(told.incident, on_change(), T0 + HOUR, NONE).reason == ALREADY_TOLD
    silenced = on_change(silence_until=T0 + HOUR)
    assert conclude(None, silenced, T0, NONE) == Conclusion(Incident(T0), None, SILENCED)


def test_a_silence_ends_at_its_instant_and_what_is_still_wrong_is_told() -> None:
    assert course(on_change(silence_until=T0 + 2 * HOUR), NONE, NONE, NONE, NONE) == [None, None, ALERT, None]
    assert course(expected(silence_until=T0 + 2 * HOUR), NONE, NONE, NONE) == [None, None, ALERT]


def test_an_incident_that_began_and_ended_in_silence_is_never_told() -> None:
    assert course(on_change(silence_until=T0 + 2 * HOUR), NONE, OK, OK) == [None, None, None]


def silenced_later(*verdicts: Verdict) -> list[str | None]:
    """Told of the first failure; then two hours of silence."""
    told = conclude(None, on_change(), T0, NONE)
    check = on_change(silence_until=T0 + 3 * HOUR)
    incident, mails = told.incident, []
    for hours, verdict in enumerate(verdicts, 1):
        conclusion = conclude(incident, check, T0 + hours * HOUR, verdict)
        incident = conclusion.incident
        mails.append(conclusion.mail)
    return mails


def test_an_end_within_a_silence_is_told_after_it_once() -> None:
    assert silenced_later(OK, OK, OK, OK) == [None, None, RECOVERY, None]


def test_what_ended_in_silence_and_fails_again_is_told_as_something_new() -> None:
    """grafana#80996, research/features.md D22."""
    assert silenced_later(OK, OK, NONE, OK) == [None, None, ALERT, RECOVERY]
    assert silenced_later(OK, NONE, NONE, OK) == [None, None, ALERT, RECOVERY]


def test_what_is_not_known_changes_nothing() -> None:
    assert course(on_change(), NONE, UNKNOWN, NONE, UNKNOWN, OK) == [ALERT, None, None, None, RECOVERY]
    assert course(expected(), UNKNOWN) == [None]


@given(
    st.lists(st.sampled_from([OK, MISMATCH, NONE, UNKNOWN]), max_size=20),
    st.integers(0, 10),
    st.none() | st.integers(1, 4),
)
def test_no_recovery_without_an_alert_and_at_most_one_for_each(
    verdicts: list[Verdict], silent_hours: int, remind_hours: int | None
) -> None:
    check = on_change(silence_until=T0 + silent_hours * HOUR, remind_hours=remind_hours)
    told = False
    for verdict, mail in zip(verdicts, course(check, *verdicts), strict=True):
        assert mail != RECOVERY or told
        assert mail is None or verdict is not UNKNOWN
        told = mail == ALERT or (told and mail != RECOVERY)


@pytest.mark.parametrize("status", [*Status, None])
def test_only_a_status_that_is_expected_is_ok(status: Status | None) -> None:
    wanted = NONE if status is None else OK if status in (Status.COMPLETED, Status.RUNNING) else MISMATCH
    assert verdict_on(status, (Status.COMPLETED, Status.RUNNING)) is wanted


@pytest.mark.parametrize(
    ("check", "sighting", "seen"),
    [
        (expected(), Sighting(True), True),
        (expected(), Sighting(True, "m", "t", "o"), True),
        (expected(context_type="t"), Sighting(True, "m", "t"), True),
        (expected(context_type="t"), Sighting(True, "m", "T"), False),
        (expected(context_type="t"), Sighting(True), False),
        (expected(context_model="m", context_type="t"), Sighting(True, "n", "t"), False),
        (expected(organization_id="o"), Sighting(True, organization_id="o"), True),
        (expected(organization_id="o"), Sighting(True), False),
        (expected(), Sighting(False), False),
        (expected(expected_statuses=(Status.COMPLETED, Status.QUEUED)), Sighting(False), True),
        (expected(expected_statuses=(Status.PENDING,)), Sighting(False), True),
    ],
)
def test_a_check_sees_the_runs_of_its_context_that_have_started(
    check: TaskCheck, sighting: Sighting, seen: bool
) -> None:
    """One that has not counts only where that is expected."""
    assert is_seen(sighting, check) is seen


def a_check(now: datetime = T0, schedule: Schedule = HOURLY, phase: datetime = T0, old: Check | None = None) -> Check:
    return define(old, "m", "t", expected(lookback_hours=2), schedule, phase, now)


def test_the_first_check_of_an_interval_is_due_one_interval_after_its_activation() -> None:
    assert a_check().due == T0 + HOUR


def test_a_task_added_later_joins_the_phase() -> None:
    assert a_check(now=T0 + timedelta(minutes=90)).due == T0 + 2 * HOUR


def test_an_edit_keeps_the_due_time_and_the_incident() -> None:
    old = a_check()._replace(incident=Incident(T0, T0))
    new = define(old, "m", "t", expected(lookback_hours=5), HOURLY, T0, T0 + timedelta(minutes=50))
    assert new == old._replace(expected=expected(lookback_hours=5))


def test_another_schedule_begins_anew_and_the_incident_goes_on() -> None:
    old = a_check()._replace(incident=Incident(T0, T0))
    now = T0 + timedelta(minutes=50)
    new = a_check(now, Schedule(every=2 * HOUR), phase=now, old=old)
    assert (new.due, new.incident) == (now + 2 * HOUR, old.incident)
