"""The names of checks and of what is told about them, and who superusers' mails go to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, RECOVERY, Superusers, Verdict, alert_id, check_id, health_id

DUE = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)


def test_a_check_is_named_by_monitor_task_and_due_time() -> None:
    assert check_id("Reports", "nightly-report", DUE) == "Reports/nightly-report/2024-01-15T14:30:00Z"


@pytest.mark.parametrize(
    "due", [DUE.replace(microsecond=999_999), DUE.astimezone(timezone(timedelta(hours=5, minutes=30)))]
)
def test_a_due_time_is_written_in_whole_seconds_and_utc(due: datetime) -> None:
    assert check_id("m", "t", due) == "m/t/2024-01-15T14:30:00Z"


@given(st.text(max_size=255), st.text(max_size=255))
def test_a_check_s_name_is_an_id_however_long_the_names_are(monitor: str, task_name: str) -> None:
    name = check_id(monitor, task_name, DUE)
    assert len(name) <= 255
    assert name.endswith("/2024-01-15T14:30:00Z")
    assert name.startswith(f"{monitor}/{task_name}"[:200])


def test_names_that_differ_only_where_they_are_cut_make_different_checks() -> None:
    names = ["x" * 250 + end for end in "abc"]
    assert len({check_id("m" * 100, name, DUE) for name in names}) == len(names)


def test_one_notification_each_for_kind_check_and_recipient() -> None:
    ids = {
        alert_id(ALERT, "m", "t", DUE, "ann@example.com"),
        alert_id(RECOVERY, "m", "t", DUE, "ann@example.com"),
        alert_id(ALERT, "other", "t", DUE, "ann@example.com"),
        alert_id(ALERT, "m", "other", DUE, "ann@example.com"),
        alert_id(ALERT, "m", "t", DUE + timedelta(hours=1), "ann@example.com"),
        alert_id(ALERT, "m", "t", DUE, "bob@example.com"),
        health_id(DUE, DUE, "ann@example.com"),
        health_id(DUE, DUE, "bob@example.com"),
        health_id(DUE, DUE + timedelta(hours=1), "ann@example.com"),
    }
    assert len(ids) == 9
    assert alert_id(ALERT, "m", "t", DUE, "ANN@example.com") in ids


def test_superusers_who_share_an_address_are_one_recipient_the_first_by_id() -> None:
    members = {
        "u3": ("zoe@example.com", None),
        "u2": ("ANN@example.com", "Anna"),
        "u1": ("Ann@Example.com", "Ann"),
    }
    assert Superusers(members).recipients == (("Ann@Example.com", "Ann"), ("zoe@example.com", None))
    assert Superusers(dict(reversed(members.items()))).recipients == Superusers(members).recipients


def test_what_is_said_about_a_monitor_s_record_or_an_outage_is_no_check() -> None:
    made = {verdict for verdict in Verdict if verdict.is_of_a_check}
    assert made == {Verdict.OK, Verdict.STATUS_MISMATCH, Verdict.NOT_EXECUTED, Verdict.UNKNOWN}
