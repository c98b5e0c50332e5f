"""What requests and answers look like, in the OpenAPI document and on docs/api.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streamnotify.domain.status import Status
from streamnotify.web.api.events import Accepted, Published
from streamnotify.web.api.problems import FieldError
from streamnotify.web.read_model.answers import (
    DeadLetter,
    Freshness,
    Monitor,
    MonitorResult,
    Notification,
    Page,
    Run,
    Step,
)
from streamnotify.wire.notification_status import NotificationStep

_AT = datetime(2026, 1, 15, 14, 30, 25, tzinfo=UTC)
_EVENT_ID = "0b6b8c4e-7d0c-4c5e-9a57-1f0a4a1d8c11"
_NOTIFICATION_ID = "bk3v5qy2nmzc7v4wqhxa6d2u5e"

EVENT: dict[str, Any] = {
    "task_name": "nightly-report",
    "task_id": "2026-01-15",
    "status": "Completed",
    "user_id": "u-42",
    "notify": {"email": "ann@example.com"},
    "result": {"test_run_id": "r-7"},
}
EVENTS: list[dict[str, Any]] = [
    {"task_name": "nightly-report", "task_id": "2026-01-16", "status": "Running"},
    {"task_name": "nightly-report", "task_id": "2026-01-16", "status": "Stopped", "error": "disk full", "notify": True},
]
TEST_MAIL = {"message": "Testing email notifications"}

_RUN = Run(
    task_id="2026-01-15",
    task_name="nightly-report",
    status=Status.COMPLETED,
    is_over=True,
    attempt=1,
    created_at=_AT - timedelta(seconds=165),
    started_at=_AT - timedelta(seconds=165),
    finished_at=_AT,
    organization_id="org-a",
    user_id="u-42",
    result={"test_run_id": "r-7"},
)
_MONITOR = Monitor(
    "Critical syncs",
    {
        "name": "Critical syncs",
        "enabled": True,
        "crontab": "5 * * * *",
        "args": [{"nightly-report": {"expected_statuses": ["Completed"], "organization_id": "org-a"}}],
    },
)
_RESULT = MonitorResult(
    monitor="Critical syncs",
    verdict="ok",
    check_time=_AT,
    evaluated_at=_AT + timedelta(seconds=2),
    task_name="nightly-report",
    current_status="Completed",
    expected_statuses=("Completed",),
    lookback_hours=1,
    task_id="2026-01-15",
    started_at=_AT - timedelta(seconds=165),
    finished_at=_AT,
    dependent_tasks=(),
    notified=(),
)
_ABOUT: dict[str, Any] = {
    "kind": "task_completion",
    "task_name": "nightly-report",
    "task_id": "2026-01-15",
    "user_id": "u-42",
    "organization_id": "org-a",
}
_STEPS = (
    Step(_NOTIFICATION_ID, NotificationStep.ACCEPTED, _AT, **_ABOUT),
    Step(
        _NOTIFICATION_ID,
        NotificationStep.SENT,
        _AT + timedelta(seconds=1),
        to="ann@example.com",
        attempt=1,
        smtp_stage="dot",
        smtp_code=250,
        **_ABOUT,
    ),
)
_NOTIFICATION = Notification(
    _NOTIFICATION_ID,
    NotificationStep.SENT,
    created_at=_AT,
    at=_AT + timedelta(seconds=1),
    to="ann@example.com",
    subject="Task Completed: nightly-report - Success",
    attempt=1,
    **_ABOUT,
)
_LETTER = DeadLetter(
    id="3-17",
    failed_at=_AT,
    topic="task-events",
    partition=3,
    offset=1042,
    stage="ingest",
    error_class="poison",
    reason="required field missing",
    field="status",
    attempts=1,
    replay_count=0,
    value='{"task_name": "nightly-report"}',
    size=31,
)
_STORY: dict[str, Any] = {
    "notification_id": _NOTIFICATION_ID,
    "outcome": "sent",
    "steps": [{**msgspec.to_builtins(step), "meaning": "…"} for step in _STEPS],
    "digests": [],
    "lines": [
        f"task_completion {_NOTIFICATION_ID} about task nightly-report run 2026-01-15 for u-42, ann@example.com",
        "  2026-01-15 14:30:25 UTC  accepted: somebody is to be told: user u-42",
        "  2026-01-15 14:30:26 UTC  sent: the relay took it for ann@example.com, attempt 1",
        "  => sent at 2026-01-15 14:30:26 UTC",
    ],
}

EXAMPLES: dict[str, Any] = {
    name: msgspec.to_builtins(value)
    for name, value in {
        "Run": _RUN,
        "RunPage": Page((msgspec.structs.replace(_RUN, result=None),), "kssGWyQAAAEC"),
        "Monitor": _MONITOR,
        "MonitorPage": Page((_MONITOR,)),
        "MonitorResultPage": Page((_RESULT,)),
        "NotificationPage": Page((_NOTIFICATION,)),
        "NotificationDetail": {"notification": _NOTIFICATION, "steps": _STEPS},
        "DeadLetterPage": Page((_LETTER,)),
        "ReadModelStatus": {"read_model": Freshness(_AT, 0.4, 0)},
        "Why": {"notifications": [_STORY], "none_because": []},
        "Accepted": Accepted(
            (Published("nightly-report", "2026-01-15", _EVENT_ID),),
            (FieldError("notfy", "unknown, ignored: did you mean notify?"),),
        ),
        "TestMailAccepted": {"task_id": _EVENT_ID},
        "Problem": {
            "type": "about:blank",
            "title": "Unprocessable Content",
            "status": 422,
            "detail": "nothing was published: something is wrong",
            "errors": [FieldError("[1].status", "required field missing")],
        },
    }.items()
}
