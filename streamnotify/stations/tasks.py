"""tasks: the state of every run, who is told how it ended, and what its monitors find (DESIGN section 1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any

from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.recipients import mailbox_of
from streamnotify.domain.run_mail import MailDecision
from streamnotify.domain.run_steps import TasksPolicy, merge, wake
from streamnotify.stations import answers, checks, definitions
from streamnotify.stations.context import Context, Due, Station
from streamnotify.stations.run_rows import (
    RUN,
    SIGHTING,
    forget_run,
    needed_until,
    note_sighting,
    run_key,
    run_of_key,
)
from streamnotify.wire.commands import (
    AskCheck,
    AskMonitor,
    AskRuns,
    DefineMonitor,
    MergeRun,
    NobodyTold,
    NoteLoss,
    NotifyTask,
    SetCheck,
    TasksCommand,
)
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, TASKS

logger = logging.getLogger(__name__)


def station(policy: TasksPolicy) -> Station:
    """The tasks station."""
    stale_runs = count()

    def handle(command: TasksCommand | Due, ctx: Context) -> None:
        decision = None
        if isinstance(command, MergeRun):
            decision = _merge(command, ctx, policy)
        elif not isinstance(command, Due):
            _MONITORING[type(command)](command, ctx)
        elif command.row is checks.CHECK:
            checks.make_due(command, ctx)
        else:
            decision = _wake(command, ctx, policy)
        if decision is None:
            return
        if decision.suppressed == SuppressionReason.STALE and next(stale_runs) == 0:
            logger.warning(
                "The end of task %s was published long after it happened: state only, no mail, for this and all other"
                " events older than STREAMNOTIFY_MAX_EVENT_AGE",
                decision.notification.task_name,
            )
        _tell(decision, ctx)

    rows = (RUN, SIGHTING, definitions.DEFINITION, checks.CHECK, checks.LOST)
    return Station("tasks", (TASKS,), handle, rows=rows)


_MONITORING: dict[type[TasksCommand], Callable[[Any, Context], None]] = {
    NoteLoss: checks.note_loss,
    NobodyTold: checks.note_nobody_told,
    DefineMonitor: definitions.define,
    SetCheck: checks.set_check,
    AskRuns: answers.runs,
    AskMonitor: answers.monitor,
    AskCheck: answers.check,
}


def _merge(command: MergeRun, ctx: Context, policy: TasksPolicy) -> MailDecision | None:
    update = command.update
    key = run_key(update.task_name, update.task_id)
    old = ctx.get(RUN, key)
    run, decision = merge(old, update, ctx.now, policy)
    if run != old:
        ctx.put(RUN, key, run)
        note_sighting(update.task_name, update.task_id, None if old is None else old.facts, run.facts, ctx)
        if old is None or run.wake_at != old.wake_at:
            ctx.wake(RUN, key, run.wake_at)
    return decision


def _wake(due: Due, ctx: Context, policy: TasksPolicy) -> MailDecision | None:
    old = ctx.get(RUN, due.key)
    if old is None:
        return None
    task_name, task_id = run_of_key(due.key)
    needed = needed_until(task_name, task_id, old.facts, ctx)
    run, decision = wake(task_name, task_id, old, ctx.now, policy, needed_until=needed)
    if run is None:
        forget_run(task_name, task_id, old.facts, ctx)
    else:
        ctx.put(RUN, due.key, run)
        note_sighting(task_name, task_id, old.facts, run.facts, ctx)
        ctx.wake(RUN, due.key, run.wake_at)
    return decision


def _tell(decision: MailDecision, ctx: Context) -> None:
    """Hand the notification to its mailbox, or record why nobody is told."""
    notification = decision.notification
    mailbox = mailbox_of(notification)
    suppressed = decision.suppressed
    if suppressed is None and mailbox is not None:
        ctx.emit(MAILBOXES, mailbox, NotifyTask(notification))
    status = NotificationStatus(
        notification_id=notification.notification_id,
        status=NotificationStep.ACCEPTED if suppressed is None else NotificationStep.SUPPRESSED,
        reason=suppressed,
        kind=notification.kind,
        task_name=notification.task_name,
        task_id=notification.task_id,
        to=notification.email if notification.user_id is None else None,
        user_id=notification.user_id,
        organization_id=notification.organization_id,
        at=ctx.now,
    )
    ctx.emit(NOTIFICATION_STATUS, notification.notification_id, status)
