"""A notification goes from one mailbox to another."""

from __future__ import annotations

from typing import TypeAlias

from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.notifications import TaskNotification
from streamnotify.domain.recipients import Notification
from streamnotify.stations.context import Context
from streamnotify.wire.commands import NotifyAlert, NotifyHealth, NotifyTask
from streamnotify.wire.topics import MAILBOXES

Notify: TypeAlias = NotifyTask | NotifyAlert | NotifyHealth


def forward(notification: Notification, mailbox: str, ctx: Context, *, to_stay: bool = False) -> None:
    """Have another mailbox decide about it; ``to_stay``: that one sends it nowhere else."""
    command: Notify
    if isinstance(notification, TaskNotification):
        command = NotifyTask(notification, mailbox, to_stay)
    elif isinstance(notification, AlertNotification):
        command = NotifyAlert(notification, mailbox, to_stay)
    else:
        command = NotifyHealth(notification, mailbox, to_stay)
    ctx.emit(MAILBOXES, mailbox, command)
