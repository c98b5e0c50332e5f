"""Examples of what others publish; docs/topics.md and docs/events.md show the same."""

from __future__ import annotations

from streamnotify.wire.example import Example

_RUN = {"task_name": "hourly_data_sync", "task_id": "0b6b8c4e-7d0c-4c5e-9a57-1f0a4a1d8c11"}

TASK_EVENTS = (
    Example("smallest", "A run that nobody is told of.", {"task_name": "nightly-report", "status": "Completed"}),
    Example(
        "mail-to-address",
        "Somebody is told, by address.",
        {"task_name": "nightly-report", "status": "Completed", "notify": {"email": "ann@example.com"}},
    ),
    Example(
        "started",
        "A run has begun, on something that monitors look for.",
        {
            **_RUN,
            "status": "Running",
            "occurred_at": "2026-01-05T01:00:00Z",
            "context": {"model": "gap.models.IngestorSession", "type": "Hourly Tomorrow.io", "id": "42"},
        },
        key=_RUN["task_id"],
    ),
    Example(
        "failed",
        "It failed at its third attempt, and the user who started it is told.",
        {
            **_RUN,
            "status": "Stopped",
            "attempt": 3,
            "max_attempts": 3,
            "user_id": "u1",
            "organization_id": "org-a",
            "notify": True,
            "error": {"type": "ConnectionError", "message": "The source does not answer."},
        },
        key=_RUN["task_id"],
    ),
    Example(
        "will-be-retried",
        "An attempt is over, the run is not: never a mail.",
        {**_RUN, "status": "Queued", "attempt": 2, "final": False, "error": "The source does not answer."},
        key=_RUN["task_id"],
    ),
    Example(
        "every-field",
        "All there is to say, here of a command that failed under cron; most events say little of it.",
        {
            "task_name": "nightly-tests",
            "task_id": "nightly-tests-2026-01-05",
            "status": "Stopped",
            "event_id": "b7c9a8b2-4b53-5f0e-8c2f-3f9f5a1d7e60",
            "occurred_at": "2026-01-05T01:20:00.250Z",
            "attempt": 1,
            "max_attempts": 1,
            "final": True,
            "submitted_at": "2026-01-05T01:00:00Z",
            "queued_at": "2026-01-05T01:00:00Z",
            "started_at": "2026-01-05T01:00:00.120Z",
            "finished_at": "2026-01-05T01:20:00.250Z",
            "duration_s": 1200.13,
            "interrupted": False,
            "redelivery_s": 60,
            "display_name": "Nightly tests",
            "context": {"model": "ci.models.Suite", "type": "nightly", "id": "42"},
            "organization_id": "org-a",
            "user_id": "u1",
            "notify": {
                "template": "test_execution_summary",
                "subject_template": "{test_set_name}: {status.title()}",
                "email": "ann@example.com",
                "name": "Ann",
                "on": ["success", "failure", "cancelled"],
                "urgent": False,
            },
            "result": {"test_run_id": "4711", "test_set_name": "Nightly", "total_tests": 120, "tests_failed": 2},
            "error": {"type": "exit", "message": "The command ended with 1.", "cause": "exit"},
            "source": "ci/prod",
            "producer": {
                "sdk": "streamnotify-python",
                "version": "1.0.0",
                "host": "ci-1",
                "pid": 4242,
                "role": "cli",
                "seq": 2,
            },
            "progress": {"percent": 100, "text": "120 of 120 tests"},
            "schedule": "0 1 * * *",
            "redelivered": False,
            "expected": False,
            "exit_code": 1,
            "output_tail": "2 failed, 118 passed in 1200.13s\n",
        },
        key="nightly-tests-2026-01-05",
    ),
)

MONITOR_CONFIGS = (
    Example(
        "at-times",
        "Five minutes past every hour.",
        {
            "name": "Monitor Critical Data Collection Tasks",
            "enabled": True,
            "crontab": "5 * * * *",
            "timezone": "UTC",
            "args": [
                {
                    "hourly_data_sync": {
                        "expected_statuses": ["Completed"],
                        "notify_to": ["ops@example.com"],
                        "lookback_hours": 1,
                    }
                }
            ],
        },
        key="Monitor Critical Data Collection Tasks",
    ),
    Example(
        "at-intervals",
        "Every half hour; superusers are told, for it names nobody.",
        {
            "interval": {"every": 30, "period": "minutes"},
            "args": '[{"hourly_data_sync": {"expected_statuses": ["Completed"]}}]',
        },
        key="Half-hourly",
    ),
    Example(
        "every-parameter",
        "Tasks under their own name, with all they can have.",
        {
            "name": "Nightly",
            "crontab": "30 6 * * mon-fri",
            "timezone": "Europe/Rome",
            "tasks": {
                "backup": {
                    "expected_statuses": ["Completed", "Running"],
                    "dependent_tasks": ["restore-test"],
                    "lookback_hours": 8.5,
                    "organization_id": "org-a",
                    "display_name": "Nightly backup",
                    "urgent": True,
                    "notify": "on_change",
                    "remind_hours": 4,
                    "grace_minutes": 10,
                    "silence_until": "2026-01-31T00:00:00Z",
                }
            },
        },
        key="Nightly",
    ),
)

USERS = (
    Example("smallest", "Known, but without an address.", {"user_id": "u2"}, key="u2"),
    Example(
        "every-field",
        "All there is to say.",
        {
            "user_id": "u1",
            "email": "ann@example.com",
            "name": "Ann",
            "email_verified": True,
            "is_active": True,
            "is_superuser": True,
            "organizations": ["org-a"],
            "timezone": "Europe/Rome",
            "locale": "en",
            "preferences": {
                "email": None,
                "organizations": {"org-a": {"email": False}},
                "kinds": {"task_completion": True},
                "digest": "daily at 08:00",
                "quiet_hours": {"from": "22:00", "to": "07:00"},
            },
        },
        key="u1",
    ),
)

USER_PREFERENCES = (
    Example(
        "every-field",
        "What a user wants.",
        {
            "email": None,
            "organizations": {"org-a": {"email": False}},
            "kinds": {"task_completion": False, "task_status_alert": None},
            "digest": {"window": "1h"},
            "quiet_hours": {"from": "22:00", "to": "07:00", "timezone": "Europe/Rome"},
        },
        key="u1",
    ),
    Example("no-digests", "Each mail at once.", {"digest": False}, key="ann@example.com"),
    Example("daily", "One mail a day.", {"digest": "daily at 08:00"}, key="u1"),
    Example("organization-off", "No mails about an organization.", {"email": False}, key="organization:org-a"),
)

NOTIFICATION_FEEDBACK = (
    Example(
        "bounced",
        "A mail came back for good.",
        {
            "event": "bounced",
            "email": "ann@example.com",
            "message_id": "<1.fwrgevehmew2e6atzy2wpco6pv@mail.example.com>",
            "bounce_type": "hard",
            "status": "5.1.1",
            "detail": "No such user here.",
            "at": "2026-01-05T01:21:07Z",
            "organization_id": "org-a",
            "event_id": "ses-42",
            "source": "ses",
        },
        key="ann@example.com",
    ),
    Example(
        "read",
        "It was seen elsewhere, and need not be in the next digest.",
        {"event": "read", "notification_id": "fwrgevehmew2e6atzy2wpco6pv"},
        key="fwrgevehmew2e6atzy2wpco6pv",
    ),
    Example(
        "unsuppressed",
        "An operator gives an address another chance.",
        {"event": "unsuppressed", "email": "ann@example.com", "source": "operator"},
        key="ann@example.com",
    ),
)
