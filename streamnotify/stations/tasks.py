"""tasks: the state of every run, and who is told how it ended (DESIGN section 1)."""

from __future__ import annotations

import logging
from itertools import count

from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.recipients import mailbox_of
from streamnotify.domain.run_mail import MailDecision
from streamnotify.domain.run_steps import TasksPolicy, merge, wake
from streamnotify.domain.runs import Run
from streamnotify.stations.context import Context, Due, Station
from streamnotify.wire.commands import MergeRun, NotifyTask
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, TASKS

logger = logging.getLogger(__name__)

RUN: Row[Run] = Row(b"r", Run)


def run_key(task_name: str, task_id: str) -> str:
    """The key of a run's row. The length in front keeps names apart whatever they contain."""
    return f"{len(task_name)}:{task_name}:{task_id}"


def run_of_key(key: str) -> tuple[str, str]:
    """task_name and task_id of a run's key."""
    length, _, rest = key.partition(":")
    return rest[: int(length)], rest[int(length) + 1 :]


def station(policy: TasksPolicy) -> Station:
    """The tasks station."""
    stale_runs = count()

    def handle(command: MergeRun | Due, ctx: Context) -> None:
        decision = _merge(command, ctx, policy) if isinstance(command, MergeRun) else _wake(command, ctx, policy)
        if decision is None:
            return
        if decision.suppressed == SuppressionReason.STALE and next(stale_runs) == 0:
            logger.warning(
                "The end of task %s was published long after it happened: state only, no mail, for this and all other"
                " events older than STREAMNOTIFY_MAX_EVENT_AGE",
                decision.notification.task_name,
            )
        _tell(decision, ctx)

    return Station("tasks", (TASKS,), handle, rows=(RUN,))


def _merge(command: MergeRun, ctx: Context, policy: TasksPolicy) -> MailDecision | None:
    update = command.update
    key = run_key(update.task_name, update.task_id)
    old = ctx.get(RUN, key)
    run, decision = merge(old, update, ctx.now, policy)
    if run != old:
        ctx.put(RUN, key, run)
        if old is None or run.wake_at != old.wake_at:
            ctx.wake(RUN, key, run.wake_at)
    return decision


def _wake(due: Due, ctx: Context, policy: TasksPolicy) -> MailDecision | None:
    old = ctx.get(RUN, due.key)
    if old is None:
        return None
    task_name, task_id = run_of_key(due.key)
    run, decision = wake(task_name, task_id, old, ctx.now, policy)
    if run is None:
        ctx.delete(RUN, due.key)
    else:
        ctx.put(RUN, due.key, run)
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
