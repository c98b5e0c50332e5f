"""What people are told about a monitored task, and about our own outages."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

from streamnotify.domain.notifications import notification_id

ALERT, RECOVERY, HEALTH = "task_status_alert", "task_status_recovery", "service_health"

_ID_LENGTH = 255  # characters (SPEC 2.1)
_SECONDS = len("2024-01-15T14:30:00")


class Verdict(enum.StrEnum):
    """What a check came to (SPEC 2.4)."""

    OK = "ok"
    STATUS_MISMATCH = "status_mismatch"
    NOT_EXECUTED = "not_executed"
    UNKNOWN = "unknown"  # events of the window are known to be lost
    SKIPPED = "skipped"  # fell into an outage of ours; a later check was made instead
    REFUSED = "refused"  # the monitor's record cannot be used
    WARNING = "warning"  # the monitor's record holds something that is ignored

    @property
    def is_failure(self) -> bool:
        """Whether the task is not as expected."""
        return self in (Verdict.STATUS_MISMATCH, Verdict.NOT_EXECUTED)

    @property
    def is_of_a_check(self) -> bool:
        """Whether a check was made."""
        return self not in (Verdict.SKIPPED, Verdict.REFUSED, Verdict.WARNING)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is recorded of a check. ``check_time`` is when it was due, ``evaluated_at`` when it was made.

    ``error``: the check itself failed. ``notified``: the addresses mails go to. ``count``, ``first``, ``last``: of
    skipped checks.
    """

    monitor: str
    verdict: Verdict
    check_time: datetime
    evaluated_at: datetime
    task_name: str | None = None
    context_model: str | None = None
    context_type: str | None = None
    reason: str | None = None
    error: str | None = None
    current_status: str | None = None
    expected_statuses: tuple[str, ...] = ()
    lookback_hours: float | None = None
    task_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dependent_tasks: tuple[str, ...] = ()
    notified: tuple[str, ...] = ()
    count: int | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertNotification:
    """A task is not as expected, or is again: one notification to one recipient.

    ``kind`` is :data:`ALERT` or :data:`RECOVERY`. ``current_status`` None: no execution was found. ``task_id`` is the
    check's own, ``<monitor>/<task>/<T>``. ``email`` None: whoever the superusers are. ``mailbox`` is the recipient's,
    set once it has taken the notification.
    """

    notification_id: str
    kind: str
    monitor: str
    task_name: str
    task_id: str
    check_time: datetime
    current_status: str | None
    expected_statuses: tuple[str, ...]
    lookback_hours: float
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dependent_tasks: tuple[str, ...] = ()
    organization_id: str | None = None
    urgent: bool = False
    email: str | None = None
    name: str | None = None
    user_id: str | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class WrongNow:
    """One task that a late check found not as expected."""

    monitor: str
    task_name: str
    verdict: Verdict
    current_status: str | None = None


@dataclass(frozen=True, slots=True)
class LateCheck:
    """A check that an outage of ours held up: checks due since ``since`` were missed, the last one made at ``until``.

    ``skipped`` were never made. ``wrong``: what the one that was made found, if it found anything.
    """

    since: datetime
    until: datetime
    skipped: int
    wrong: WrongNow | None = None


@dataclass(frozen=True, slots=True)
class HealthNotification:
    """No checks were made from ``since`` to ``until``; ``skipped`` of them never will be (SPEC section 5).

    ``wrong`` lists what is really wrong now, at most the first 50 of ``wrong_count``.
    """

    notification_id: str
    since: datetime
    until: datetime
    skipped: int
    wrong: tuple[WrongNow, ...] = ()
    wrong_count: int = 0
    kind: str = HEALTH
    task_name: str | None = None
    task_id: str | None = None
    organization_id: str | None = None
    urgent: bool = False
    email: str | None = None
    name: str | None = None
    user_id: str | None = None
    monitor: str | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class Superusers:
    """Who is told where nobody is named: addresses and names by user id."""

    members: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    @property
    def recipients(self) -> tuple[tuple[str, str | None], ...]:
        """Address and name of each, by address; whoever shares one, in whatever letter case, is one recipient."""
        by_address = {email.lower(): (email, name) for _, (email, name) in sorted(self.members.items(), reverse=True)}
        return tuple(by_address[address] for address in sorted(by_address))


def alert_id(kind: str, monitor: str, task_name: str, check_time: datetime, email: str) -> str:
    """The notification id of an alert to one recipient (DESIGN section 9)."""
    return notification_id(kind, monitor, task_name, check_time.isoformat(), email.lower())


def health_id(since: datetime, until: datetime, email: str) -> str:
    """The notification id of what one recipient is told about an outage of ours."""
    return notification_id(HEALTH, since.isoformat(), until.isoformat(), email.lower())


def check_id(monitor: str, task_name: str, check_time: datetime) -> str:
    """The task id of a check as a run, ``<monitor>/<task>/<T>`` (SPEC section 5).

    Names too long for an id are cut, with a hash of them in place of what is missing; so are those of which one has a
    slash, for others could read alike.
    """
    due = f"/{check_time.astimezone(UTC).isoformat()[:_SECONDS]}Z"
    names = f"{monitor}/{task_name}"
    if len(names) + len(due) > _ID_LENGTH or "/" in monitor or "/" in task_name:
        digest = "~" + hashlib.sha256(f"{len(monitor)}:{names}".encode()).hexdigest()[:16]
        names = names[: _ID_LENGTH - len(due) - len(digest)] + digest
    return names + due
