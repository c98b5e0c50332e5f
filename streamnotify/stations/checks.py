"""The checks of monitored tasks: set, due, evaluated as of their due time, recorded, told (SPEC section 5)."""

from __future__ import annotations

from datetime import datetime

from streamnotify.domain.alerts import (
    AlertNotification,
    CheckResult,
    LateCheck,
    Verdict,
    WrongNow,
    alert_id,
    check_id,
)
from streamnotify.domain.checks import (
    REPORTED_LATENESS,
    Check,
    Conclusion,
    conclude,
    define,
    is_seen,
    lateness,
    made,
    nobody_told,
    verdict_on,
)
from streamnotify.domain.monitors import TaskCheck
from streamnotify.domain.recipients import SUPERUSERS, address_mailbox
from streamnotify.domain.runs import Run
from streamnotify.domain.schedule import OVERDUE, Missed, due_until
from streamnotify.stations.check_records import record_check
from streamnotify.stations.context import Context, Due, WaitsFor
from streamnotify.stations.run_rows import RUN, facet_of, run_key, sightings
from streamnotify.wire.commands import NobodyTold, NoteLoss, NotifyAlert, ReportLateCheck, SetCheck, TellSuperusers
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES

CHECK = Row(b"c", Check)  # key: task, monitor
LOST = Row(b"l", datetime)  # its one key: "". Events published before then may be missing

MOST_LOOKED_AT = 100_000  # sightings in one check: a third of a second
TOO_MANY_RUNS = f"none of the newest {MOST_LOOKED_AT} runs is one that this check looks at"
EVENTS_LOST = "events of the window are lost"

_BYTES_AT_ONCE = 200_000
_ALERT_BYTES = 2_000  # of a check's records and one alert, but for the names of dependent tasks


class TooManyRuns(Exception):
    """A check has looked at as many runs as it may, and found none of its own."""


def check_key(task_name: str, monitor: str) -> str:
    """The key of a check's row."""
    return run_key(task_name, monitor)


def set_check(command: SetCheck, ctx: Context) -> None:
    """A monitor checks a task from now on, otherwise than before, or no longer."""
    key = check_key(command.task_name, command.monitor)
    if command.check is None:
        ctx.delete(CHECK, key)
        ctx.wake(CHECK, key, None, waits_for=WaitsFor.FRONTIER)
        return
    old = ctx.get(CHECK, key)
    new = define(old, command.monitor, command.task_name, command.check, command.schedule, command.phase, ctx.now)
    _keep(key, new, ctx)


def note_loss(command: NoteLoss, ctx: Context) -> None:
    """Checks that look back further than this cannot tell what did not happen."""
    known = ctx.get(LOST, "")
    if known is None or command.until > known:
        ctx.put(LOST, "", command.until)


def note_nobody_told(command: NobodyTold, ctx: Context) -> None:
    """An incident that nobody was told of is not one that somebody knows of."""
    key = check_key(command.task_name, command.monitor)
    check = ctx.get(CHECK, key)
    if check is not None:
        ctx.put(CHECK, key, nobody_told(check, command.check_time))


def make_due(due: Due, ctx: Context) -> None:
    """Make the checks that everything is taken in for; those an outage of ours held up too long are skipped."""
    check = ctx.get(CHECK, due.key)
    if check is None:
        return
    late_by = lateness(check, due.reached)
    until = due.reached - check.expected.grace
    # Only what we are late with is missed, not what waited for a grace that has been shortened.
    overdue = OVERDUE if late_by > OVERDUE else until - check.due + OVERDUE
    missed, times = due_until(check.schedule, check.phase, check.due, until, overdue=overdue)
    if missed is not None:
        record_check(_skipped(check, missed, ctx.now), ctx)
    result = None
    for at in times[: _at_once(check.expected)]:
        check, result = _make(check, at, ctx)
    if result is not None and late_by > REPORTED_LATENESS:
        ctx.emit(MAILBOXES, SUPERUSERS, ReportLateCheck(_late(result, due.reached - late_by, due.reached, missed)))
    _keep(due.key, check, ctx)


def _at_once(expected: TaskCheck) -> int:
    """How many checks are made in one go; all they change must fit into one chunk. The rest is due at once."""
    alert = _ALERT_BYTES + sum(len(name.encode()) for name in expected.dependent_tasks)
    return max(_BYTES_AT_ONCE // (alert * max(len(expected.notify_to), 1)), 1)


def find(monitor: str, task_name: str, expected: TaskCheck, due: datetime, ctx: Context) -> CheckResult:
    """What a check due at ``due`` finds in what is known now."""
    reason = None
    try:
        task_id, run = _newest_run(task_name, expected, due, ctx) or (None, None)
    except TooManyRuns:
        task_id, run, reason = None, None, TOO_MANY_RUNS
    verdict = verdict_on(None if run is None else run.status, expected.expected_statuses)
    if verdict.is_failure and (lost := ctx.get(LOST, "")) is not None and lost > due - expected.lookback:
        verdict, reason = Verdict.UNKNOWN, EVENTS_LOST
    return CheckResult(
        monitor=monitor,
        verdict=Verdict.UNKNOWN if reason is not None else verdict,
        reason=reason,
        check_time=due,
        evaluated_at=ctx.now,
        task_name=task_name,
        context_model=expected.context_model,
        context_type=expected.context_type,
        current_status=None if run is None else run.status.value,
        expected_statuses=tuple(status.value for status in expected.expected_statuses),
        lookback_hours=expected.lookback_hours,
        task_id=task_id,
        started_at=None if run is None else run.started_at,
        finished_at=None if run is None else run.finished_at,
        dependent_tasks=expected.dependent_tasks,
    )


def record_and_tell(result: CheckResult, expected: TaskCheck, conclusion: Conclusion, ctx: Context) -> None:
    """Record a check, and mail what it concludes to whoever its monitor names, else to the superusers."""
    if conclusion.mail is None:
        record_check(result, ctx, reason=conclusion.reason)
    elif not expected.notify_to:
        ctx.emit(MAILBOXES, SUPERUSERS, TellSuperusers(result, _alert(result, expected, conclusion.mail, None)))
    else:
        for email in expected.notify_to:
            alert = _alert(result, expected, conclusion.mail, email)
            ctx.emit(MAILBOXES, address_mailbox(email), NotifyAlert(alert))
        record_check(result, ctx, notified=expected.notify_to)


def _make(check: Check, due: datetime, ctx: Context) -> tuple[Check, CheckResult]:
    result = find(check.monitor, check.task_name, check.expected, due, ctx)
    conclusion = conclude(check.incident, check.expected, due, result.verdict)
    record_and_tell(result, check.expected, conclusion, ctx)
    return made(check, result, conclusion.incident), result


def _keep(key: str, check: Check, ctx: Context) -> None:
    ctx.put(CHECK, key, check)
    ctx.wake(CHECK, key, check.due + check.expected.grace, waits_for=WaitsFor.FRONTIER)


def _newest_run(task_name: str, expected: TaskCheck, due: datetime, ctx: Context) -> tuple[str, Run] | None:
    """The newest run in the window that the check looks at, both ends included.

    Raises:
        TooManyRuns: if it is not among so many that the search would hold up everything else.
    """
    since, until = due - expected.lookback, due + expected.grace
    for looked_at, (_, task_id, sighting) in enumerate(sightings(task_name, since, until, ctx, facet_of(expected))):
        if looked_at == MOST_LOOKED_AT:
            raise TooManyRuns
        if is_seen(sighting, expected):
            run = ctx.get(RUN, run_key(task_name, task_id))
            if run is not None:
                return task_id, run
    return None


def _skipped(check: Check, missed: Missed, now: datetime) -> CheckResult:
    return CheckResult(
        monitor=check.monitor,
        verdict=Verdict.SKIPPED,
        check_time=missed.last,
        evaluated_at=now,
        task_name=check.task_name,
        context_model=check.expected.context_model,
        context_type=check.expected.context_type,
        count=missed.number,
        first=missed.first,
        last=missed.last,
    )


def _late(result: CheckResult, since: datetime, until: datetime, missed: Missed | None) -> LateCheck:
    wrong = None
    if result.verdict.is_failure:
        wrong = WrongNow(result.monitor, result.task_name or "", result.verdict, result.current_status)
    return LateCheck(since, until, 0 if missed is None else missed.number, wrong)


def _alert(result: CheckResult, expected: TaskCheck, kind: str, email: str | None) -> AlertNotification:
    task_name = result.task_name or ""
    notification_id = "" if email is None else alert_id(kind, result.monitor, task_name, result.check_time, email)
    return AlertNotification(
        notification_id=notification_id,
        kind=kind,
        monitor=result.monitor,
        task_name=task_name,
        task_id=check_id(result.monitor, task_name, result.check_time),
        check_time=result.check_time,
        current_status=result.current_status,
        expected_statuses=result.expected_statuses,
        lookback_hours=expected.lookback_hours,
        started_at=result.started_at,
        finished_at=result.finished_at,
        dependent_tasks=expected.dependent_tasks,
        organization_id=expected.organization_id,
        urgent=expected.urgent,
        email=email,
    )
