"""Examples of what streamnotify publishes; docs/topics.md shows the same."""

from __future__ import annotations

from streamnotify.wire import dead_letter
from streamnotify.wire.example import Example

MONITOR_RESULTS = (
    Example(
        "status-mismatch",
        "A check found another status than expected.",
        {
            "monitor": "Nightly",
            "task_name": "backup",
            "context_model": "gap.models.IngestorSession",
            "context_type": "Hourly Tomorrow.io",
            "verdict": "status_mismatch",
            "current_status": "Stopped",
            "expected_statuses": ["Completed", "Running"],
            "lookback_hours": 8.5,
            "task_id": "42",
            "started_at": "2026-01-05T01:00:00Z",
            "finished_at": "2026-01-05T01:20:00Z",
            "check_time": "2026-01-05T05:30:00Z",
            "evaluated_at": "2026-01-05T05:40:02Z",
            "dependent_tasks": ["restore-test"],
            "notified": ["ops@example.com"],
        },
        key="backup",
    ),
    Example(
        "refused",
        "A monitor cannot be used.",
        {
            "monitor": "Nightly",
            "verdict": "refused",
            "reason": "crontab: exactly one of crontab and interval is required",
            "check_time": "2026-01-05T11:02:31.415Z",
            "evaluated_at": "2026-01-05T11:02:31.415Z",
        },
        key="Nightly",
    ),
    Example(
        "skipped",
        "Checks fell into an outage of ours.",
        {
            "monitor": "Nightly",
            "task_name": "backup",
            "verdict": "skipped",
            "check_time": "2026-01-05T05:30:00Z",
            "evaluated_at": "2026-01-05T07:12:40Z",
            "count": 3,
            "first": "2026-01-05T02:30:00Z",
            "last": "2026-01-05T04:30:00Z",
        },
        key="backup",
    ),
)

_NOTIFICATION = {
    "notification_id": "fwrgevehmew2e6atzy2wpco6pv",
    "kind": "task_completion",
    "task_name": "nightly-report",
    "task_id": "r2",
    "to": "ann@example.com",
}

NOTIFICATION_STATUS = (
    Example(
        "batched",
        "It waits for its digest.",
        {
            **_NOTIFICATION,
            "status": "batched",
            "user_id": "u1",
            "organization_id": "org-a",
            "digest_id": "oofpgdqdjax4ohy4hu6v6k45ro",
            "next_at": "2026-01-05T01:50:00Z",
            "at": "2026-01-05T01:20:00Z",
        },
        key="fwrgevehmew2e6atzy2wpco6pv",
    ),
    Example(
        "sent",
        "The relay has taken the mail.",
        {
            **_NOTIFICATION,
            "status": "sent",
            "subject": "Task Completed: nightly-report - Success",
            "message_id": "<1.fwrgevehmew2e6atzy2wpco6pv@mail.example.com>",
            "attempt": 1,
            "smtp_stage": "dot",
            "smtp_code": 250,
            "at": "2026-01-05T01:20:01Z",
        },
        key="fwrgevehmew2e6atzy2wpco6pv",
    ),
    Example(
        "suppressed",
        "It is not sent, because the user does not want such mails.",
        {**_NOTIFICATION, "status": "suppressed", "reason": "opted_out_kind", "at": "2026-01-05T01:20:00Z"},
        key="fwrgevehmew2e6atzy2wpco6pv",
    ),
)

DEAD_LETTERS = (
    Example(
        "task-event",
        "A task event with a status that does not exist.",
        {"task_name": "nightly-report", "status": "Done"},
        headers={
            dead_letter.TOPIC: "task-events",
            dead_letter.PARTITION: "3",
            dead_letter.OFFSET: "17",
            dead_letter.EXCEPTION: "streamnotify.errors.BadRecord",
            dead_letter.MESSAGE: "status: Input should be 'Pending', 'Queued', 'Running', …",
            dead_letter.STACKTRACE: "Traceback (most recent call last): …",
            dead_letter.STAGE: "ingest",
            dead_letter.ERROR_CLASS: "poison",
            dead_letter.REASON: "Input should be 'Pending', 'Queued', 'Running', …",
            dead_letter.FIELD: "status",
            dead_letter.ATTEMPTS: "1",
            dead_letter.FAILED_AT: "2026-01-05T01:20:00.250000+00:00",
            dead_letter.REPLAY_COUNT: "0",
            "sn-id": "ingest/OxbW2kDOTcKZ/0/3/17/dead",
        },
    ),
)
