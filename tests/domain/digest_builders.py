"""Digest items and times, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.domain.alerts import ALERT, AlertNotification
from streamnotify.domain.notifications import TaskNotification

T0 = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """An instant ``minutes`` after T0."""
    return T0 + timedelta(minutes=minutes)


def a_task_item(name: str = "1", /, **fields: Any) -> TaskNotification:
    """A notification about a run of ``sync``; ``name`` is its id."""
    given: dict[str, Any] = {"kind": "task_completion", "status": "success"}
    given |= fields
    return TaskNotification(f"n-{name}", task_name="sync", task_id=f"run-{name}", completed_at=T0, **given)


def an_alert_item(name: str = "1", /, kind: str = ALERT, **fields: Any) -> AlertNotification:
    """An alert about ``sync``; ``name`` is its id."""
    return AlertNotification(
        f"n-{name}",
        kind=kind,
        monitor="m",
        task_name="sync",
        task_id=f"m/sync/{name}",
        check_time=T0,
        current_status=None,
        expected_statuses=("Completed",),
        lookback_hours=1,
        **fields,
    )
