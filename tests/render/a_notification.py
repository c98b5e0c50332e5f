"""Notifications for tests: everything optional is absent unless given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streamnotify.domain.notifications import TaskNotification, notification_id

COMPLETED_AT = datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC)
NOW = datetime(2024, 1, 15, 14, 30, 26, tzinfo=UTC)


def a_notification(**fields: Any) -> TaskNotification:
    """The end of ``nightly-report``, run ``run-1``, as ``fields`` say."""
    values: dict[str, Any] = {
        "kind": "task_completion",
        "task_name": "nightly-report",
        "task_id": "run-1",
        "status": "success",
        "completed_at": COMPLETED_AT,
    } | fields
    if "notification_id" not in values:
        values["notification_id"] = notification_id(values["kind"], values["task_name"], values["task_id"])
    return TaskNotification(**values)
