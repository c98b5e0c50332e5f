"""Alerts, recoveries and reports of outages to look at; the golden files and the gallery show them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.domain.alerts import (
    ALERT,
    HEALTH,
    RECOVERY,
    AlertNotification,
    HealthNotification,
    Verdict,
    WrongNow,
)
from streamnotify.domain.notifications import notification_id

_DUE = datetime(2024, 1, 15, 14, 5, tzinfo=UTC)
_LONG = "nightly_collection_of_all_measurements_of_every_station_and_every_satellite_" * 3
_HOSTILE = 'R&D <b>"x"</b> {{ 7*7 }} <script>alert(1)</script>\r\nBcc: eve@example.com\u202e'

_MISMATCH = AlertNotification(
    notification_id="",
    kind="",
    monitor="Monitor Critical Data Collection Tasks",
    task_name="hourly_data_sync",
    task_id="Monitor Critical Data Collection Tasks/hourly_data_sync/2024-01-15T14:05:00+00:00",
    check_time=_DUE,
    current_status="Stopped",
    expected_statuses=("Completed",),
    lookback_hours=1.0,
    started_at=_DUE - timedelta(minutes=35),
    finished_at=_DUE - timedelta(minutes=12, seconds=18),
    organization_id="org-a",
)
_NOT_FOUND: dict[str, Any] = {"current_status": None, "started_at": None, "finished_at": None}

_CHANGES: dict[str, dict[str, Any]] = {
    "status-mismatch": {},
    "not-executed": _NOT_FOUND | {"lookback_hours": 1.5},
    "dependents": {
        "task_name": "data_processing",
        "current_status": "Pending",
        "expected_statuses": ("Completed", "Running"),
        "started_at": None,
        "finished_at": None,
        "dependent_tasks": ("data_export", "report_generation"),
        "lookback_hours": 2.0,
    },
    "many-dependents": _NOT_FOUND | {"dependent_tasks": tuple(f"downstream_task_{n:03}" for n in range(1, 201))},
    "right-to-left": {
        "task_name": "גיבוי לילי של בסיס הנתונים",
        "dependent_tasks": ("تقرير الصباح", "إرسال البريد"),
    },
    "cyrillic": {
        "task_name": "Ночной сбор данных",  # noqa: RUF001 Cyrillic on purpose
        "dependent_tasks": ("Утренний отчёт",),
    },
    "hostile": {
        "task_name": _HOSTILE,
        "monitor": _HOSTILE,
        "name": "<i>Ann</i>\r\nX-Evil: 1\x00",
        "dependent_tasks": (_HOSTILE, "</p></td><style>*{display:none}</style>", "- no list\nof mine"),
        "lookback_hours": 0.25,
    },
    "long-names": {
        "task_name": _LONG,
        "expected_statuses": ("Pending", "Queued", "Running", "Completed", "Cancelled", "Invalidated"),
        "dependent_tasks": ("x" * 255, _LONG.upper()),
        "lookback_hours": 840.0,
    },
}
# What a task that is as expected again says instead.
_AGAIN: dict[str, Any] = {
    "current_status": "Completed",
    "started_at": _MISMATCH.started_at,
    "finished_at": _MISMATCH.finished_at,
}
_OF_RECOVERIES = ("status-mismatch", "dependents", "right-to-left", "cyrillic", "hostile", "long-names")

_OUTAGE = HealthNotification(
    notification_id="",
    since=_DUE - timedelta(hours=2, minutes=5),
    until=_DUE + timedelta(seconds=42),
    skipped=24,
    wrong=(
        WrongNow("Monitor Critical Data Collection Tasks", "hourly_data_sync", Verdict.NOT_EXECUTED),
        WrongNow("Monitor Critical Data Collection Tasks", "data_export", Verdict.STATUS_MISMATCH, "Stopped"),
    ),
    wrong_count=2,
)
_OUTAGES: dict[str, dict[str, Any]] = {
    "some-wrong": {},
    "nothing-wrong": {"wrong": (), "wrong_count": 0},
    "many-wrong": {
        "wrong": tuple(WrongNow("Nightly", f"task_{n:03}", Verdict.NOT_EXECUTED) for n in range(1, 51)),
        "wrong_count": 180,
        "skipped": 1,
    },
    "hostile": {
        "since": _DUE - timedelta(days=3),
        "wrong": (WrongNow(_LONG, _HOSTILE, Verdict.STATUS_MISMATCH, "Cancelled"),) * 50,
        "wrong_count": 51,
        "name": "Ann\r\nX-Evil: 1",
    },
}

NAMES = {ALERT: tuple(_CHANGES), RECOVERY: _OF_RECOVERIES, HEALTH: tuple(_OUTAGES)}


def alert_sample(name: str, kind: str, organization_id: str | None = None) -> AlertNotification:
    """The sample ``name`` of those that NAMES has for ``kind``, of an organization if one is given."""
    changes = _CHANGES[name] | (_AGAIN if kind == RECOVERY else {})
    changed = replace(_MISMATCH, kind=kind, **changes)
    if organization_id is not None:
        changed = replace(changed, organization_id=organization_id)
    return replace(changed, notification_id=notification_id(kind, "sample", name))


def health_sample(name: str, organization_id: str | None = None) -> HealthNotification:
    """The sample ``name`` of those of outages."""
    changed = replace(_OUTAGE, organization_id=organization_id, **_OUTAGES[name])
    return replace(changed, notification_id=notification_id(HEALTH, "sample", name))
