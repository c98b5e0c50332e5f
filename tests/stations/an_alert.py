"""Checks and alerts for tests, about ``nightly-report`` as the monitor ``Reports`` sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streamnotify.domain.alerts import ALERT, AlertNotification, CheckResult, Verdict, alert_id, check_id

DUE = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)


def a_result(**fields: Any) -> CheckResult:
    """A check that found no execution, as ``fields`` say."""
    values: dict[str, Any] = {
        "monitor": "Reports",
        "verdict": Verdict.NOT_EXECUTED,
        "check_time": DUE,
        "evaluated_at": DUE.replace(second=1),
        "task_name": "nightly-report",
        "expected_statuses": ("Completed",),
        "lookback_hours": 1.0,
    }
    return CheckResult(**values | fields)


def an_alert(email: str | None = None, **fields: Any) -> AlertNotification:
    """The alert about that check to ``email``; None: to whoever the superusers are."""
    values: dict[str, Any] = {
        "kind": ALERT,
        "monitor": "Reports",
        "task_name": "nightly-report",
        "check_time": DUE,
        "current_status": None,
        "expected_statuses": ("Completed",),
        "lookback_hours": 1.0,
    } | fields
    values["task_id"] = check_id(values["monitor"], values["task_name"], values["check_time"])
    about = (values["kind"], values["monitor"], values["task_name"], values["check_time"])
    return AlertNotification("" if email is None else alert_id(*about, email), **values, email=email)
