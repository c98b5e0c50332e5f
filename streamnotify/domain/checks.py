"""A check: what a monitor finds out about a task when it is due, and whether anybody is told (SPEC section 5)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from streamnotify.domain.alerts import ALERT, RECOVERY, CheckResult, Verdict
from streamnotify.domain.monitors import TaskCheck, Tell
from streamnotify.domain.schedule import Schedule, next_due
from streamnotify.domain.sightings import Sighting
from streamnotify.domain.status import Status

REPORTED_LATENESS = timedelta(minutes=5)  # of a check, beyond which superusers are told of our outage

SILENCED = "silenced"
ALREADY_TOLD = "already_told"

_NOT_STARTED = (Status.PENDING, Status.QUEUED)


class Incident(NamedTuple):
    """A task that is not as expected, since the check due at ``since``; ``mailed_at``: the check last mailed.

    ``over``: it was as expected again while mails were silenced, so nobody knows yet.
    """

    since: datetime
    mailed_at: datetime | None = None
    over: bool = False


class Check(NamedTuple):
    """The stored state of one monitor's check of one task. ``due`` is when it is due next.

    ``phase`` is where an interval is counted from. ``eased_at``: when the grace was last shortened; checks that waited
    for it are made then, and not late.
    """

    monitor: str
    task_name: str
    expected: TaskCheck
    schedule: Schedule
    phase: datetime
    due: datetime
    eased_at: datetime | None = None
    incident: Incident | None = None
    last_verdict: Verdict | None = None
    last_checked_at: datetime | None = None


def define(
    old: Check | None,
    monitor: str,
    task_name: str,
    expected: TaskCheck,
    schedule: Schedule,
    phase: datetime,
    now: datetime,
) -> Check:
    """The check under a new definition. What is edited but the schedule keeps its due time; no edit tells anybody.

    A check that was due before and waits still, for its grace or for us, is made all the same.
    """
    if old is None:
        return Check(monitor, task_name, expected, schedule, phase, next_due(schedule, phase, now))
    eased_at = now if expected.grace < old.expected.grace else old.eased_at
    rescheduled = (old.schedule, old.phase) != (schedule, phase) and old.due > now
    due = next_due(schedule, phase, now) if rescheduled else old.due
    return old._replace(expected=expected, schedule=schedule, phase=phase, due=due, eased_at=eased_at)


def lateness(check: Check, reached: datetime) -> timedelta:
    """How long the check that is due could have been made already."""
    possible_at = check.due + check.expected.grace
    return reached - (possible_at if check.eased_at is None else max(possible_at, check.eased_at))


def is_seen(sighting: Sighting, expected: TaskCheck) -> bool:
    """Whether a check looks at the run at all: its context and organization as given, and it has started, unless
    one that has not is what is expected."""
    if not sighting.started and not any(status in expected.expected_statuses for status in _NOT_STARTED):
        return False
    return (
        expected.context_model in (None, sighting.context_model)
        and expected.context_type in (None, sighting.context_type)
        and expected.organization_id in (None, sighting.organization_id)
    )


def verdict_on(status: Status | None, expected: Collection[Status]) -> Verdict:
    """What it means that the newest run has this status; None: there is no such run."""
    if status is None:
        return Verdict.NOT_EXECUTED
    return Verdict.OK if status in expected else Verdict.STATUS_MISMATCH


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a verdict does: the incident from now on, the kind of mail that goes, and if none does although the task is
    not as expected, why."""

    incident: Incident | None = None
    mail: str | None = None
    reason: str | None = None


def conclude(incident: Incident | None, expected: TaskCheck, due: datetime, verdict: Verdict) -> Conclusion:
    """What the check due at ``due`` does to the incident, and which mail it sends."""
    silenced = expected.silence_until is not None and due < expected.silence_until
    if verdict is Verdict.UNKNOWN:
        return Conclusion(incident)
    if not verdict.is_failure:
        return _good_news(incident, expected, silenced)
    if incident is None or incident.over:
        incident = Incident(since=due)
    if silenced:
        return Conclusion(incident, reason=SILENCED)
    if incident.mailed_at is not None and not _mails_again(expected, due - incident.mailed_at):
        return Conclusion(incident, reason=ALREADY_TOLD)
    return Conclusion(incident._replace(mailed_at=due), ALERT)


def _good_news(incident: Incident | None, expected: TaskCheck, silenced: bool) -> Conclusion:
    """The end of an incident is told to those who were told of it, once (research/features.md D22)."""
    if incident is None or incident.mailed_at is None or expected.notify is not Tell.ON_CHANGE:
        return Conclusion()
    return Conclusion(incident._replace(over=True)) if silenced else Conclusion(mail=RECOVERY)


def _mails_again(expected: TaskCheck, since_last: timedelta) -> bool:
    if expected.notify is Tell.EVERY_FAILURE:
        return True
    if expected.remind_hours is None:
        return False
    # A day may have 23 hours.
    return since_last >= timedelta(hours=expected.remind_hours) * (23 / 24)


def nobody_told(check: Check, check_time: datetime) -> Check:
    """The check after its alert has turned out to have no recipient: the next failure is told like a first one."""
    if check.incident is None or check.incident.mailed_at != check_time:
        return check
    return check._replace(incident=check.incident._replace(mailed_at=None))


def made(check: Check, result: CheckResult, incident: Incident | None) -> Check:
    """The check after it has been made; its next due time follows."""
    return check._replace(
        due=next_due(check.schedule, check.phase, max(result.check_time, check.phase)),
        incident=incident,
        last_verdict=result.verdict,
        last_checked_at=result.check_time,
    )
