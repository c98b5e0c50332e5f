"""The variables of the mails about monitored tasks, and about our own outages (SPEC section 5)."""

from __future__ import annotations

from datetime import UTC, datetime

from streamnotify.domain.alerts import AlertNotification, HealthNotification, WrongNow
from streamnotify.render.cleaning import one_line, shorten
from streamnotify.render.variables import Variables, execution_time

# Exactly those that the source's own templates may use.
OF_ALERTS = (
    "task_name",
    "current_status",
    "expected_statuses",
    "lookback_hours",
    "started_at",
    "finished_at",
    "check_time",
    "has_dependent_tasks",
    "dependent_tasks",
)
OF_HEALTH = ("since", "until", "duration", "skipped", "wrong", "wrong_count")
NO_EXECUTION = "No execution found"
_NAME_LIMIT = 255  # characters, as of an id


class Instant(datetime):
    """An instant that templates may format and compute with; written as it is, it is ``2024-01-15 14:30:25 UTC``."""

    def __str__(self) -> str:
        return f"{self:%Y-%m-%d %H:%M:%S %Z}"


def alert_variables(alert: AlertNotification) -> Variables:
    """What the templates ``task_status_alert`` and ``task_status_recovery`` may use: :data:`OF_ALERTS`."""
    dependents = [_name(task) for task in alert.dependent_tasks]
    return {
        "task_name": _name(alert.task_name),
        "current_status": alert.current_status or NO_EXECUTION,
        "expected_statuses": ", ".join(alert.expected_statuses),
        "lookback_hours": plain_hours(alert.lookback_hours),
        "started_at": _instant(alert.started_at),
        "finished_at": _instant(alert.finished_at),
        "check_time": _instant(alert.check_time),
        "has_dependent_tasks": bool(dependents),
        "dependent_tasks": dependents,
    }


def health_variables(health: HealthNotification) -> Variables:
    """What the template ``service_health`` may use: :data:`OF_HEALTH`."""
    return {
        "since": _instant(health.since),
        "until": _instant(health.until),
        "duration": execution_time((health.until - health.since).total_seconds()),
        "skipped": health.skipped,
        "wrong": [_wrong(each) for each in health.wrong],
        "wrong_count": max(health.wrong_count, len(health.wrong)),
    }


def _wrong(task: WrongNow) -> dict[str, str]:
    return {
        "task_name": _name(task.task_name),
        "monitor": _name(task.monitor),
        "current_status": task.current_status or NO_EXECUTION,
    }


def _name(name: str) -> str:
    return shorten(one_line(name), _NAME_LIMIT)


def plain_hours(hours: float) -> float:
    """``hours`` as people write them: 1, not 1.0."""
    return int(hours) if hours == int(hours) else hours


def _instant(at: datetime | None) -> Instant | None:
    if at is None:
        return None
    at = at.astimezone(UTC)
    return Instant.combine(at.date(), at.time(), UTC)
