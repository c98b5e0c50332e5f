"""Monitors: what is expected of which tasks, and when that is checked (SPEC 2.2).

What each check stores is a NamedTuple: kept without its fields' names, for there may be 100,000 of them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from streamnotify.domain.schedule import Schedule
from streamnotify.domain.status import Status

SELF_CHECK = "monitor_task_status"  # each check is also a run of this task (SPEC section 5)


class Tell(enum.StrEnum):
    """Which failing checks are mailed."""

    EVERY_FAILURE = "every_failure"
    ON_CHANGE = "on_change"  # once per incident, then a recovery mail


@lru_cache(maxsize=1024)  # few numbers, and each check asks several times
def _hours(number: float) -> timedelta:
    return timedelta(hours=number)


@lru_cache(maxsize=1024)
def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


class TaskCheck(NamedTuple):
    """What a monitor expects of one task: the source's six parameters, and ours.

    ``lookback_hours`` and ``grace_minutes`` as people wrote them; ``remind_hours`` None: never. Checks due before
    ``silence_until`` are recorded, not mailed. ``organization_id``: only its runs are seen.
    """

    expected_statuses: tuple[Status, ...]
    notify_to: tuple[str, ...] = ()
    dependent_tasks: tuple[str, ...] = ()
    lookback_hours: float = 1
    context_model: str | None = None
    context_type: str | None = None
    organization_id: str | None = None
    display_name: str | None = None
    urgent: bool = False
    notify: Tell = Tell.EVERY_FAILURE
    remind_hours: float | None = None
    grace_minutes: float = 0
    silence_until: datetime | None = None

    @property
    def lookback(self) -> timedelta:
        """How far back a check looks from its due time."""
        return _hours(self.lookback_hours)

    @property
    def grace(self) -> timedelta:
        """How long after its due time a check is evaluated."""
        return _minutes(self.grace_minutes)


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor: its schedule, and its tasks by name."""

    name: str
    schedule: Schedule
    enabled: bool = True
    tasks: dict[str, TaskCheck] = field(default_factory=dict)
