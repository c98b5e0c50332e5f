"""Notifications for users whom the directory does not know yet: they wait for it to catch up (SPEC section 4)."""

from __future__ import annotations

from streamnotify.domain.notifications import TaskNotification
from streamnotify.stations.context import Context
from streamnotify.stations.mailing import MailboxPolicy, report
from streamnotify.wire.commands import NotifyTask
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.rows import Row, keys_below
from streamnotify.wire.topics import MAILBOXES

_RELEASED_BYTES = 200_000  # by one record; the rest one tick later

# key: below the mailbox, notification_id. Version 1, keyed by notification_id alone, lacked the last fields.
HELD = Row(b"h", TaskNotification, version=2, upcasts={1: lambda old: TaskNotification(*old)}, ordered=True)
RELEASING = Row(b"n", bool)  # key: mailbox; while more are held than could be released at once


def hold(mailbox: str, notification: TaskNotification, policy: MailboxPolicy, ctx: Context) -> None:
    """Hold a notification for a user who is not known, until they are or the policy's time is over."""
    key = keys_below(mailbox)[0] + notification.notification_id
    held_until = ctx.now + policy.recipient_hold
    ctx.put(HELD, key, notification)
    ctx.wake(HELD, key, held_until)
    report(notification, ctx, NotificationStep.HELD, next_at=held_until)


def forget_held(key: str, ctx: Context) -> None:
    """It is held no longer."""
    ctx.delete(HELD, key)
    ctx.wake(HELD, key, None)


def release(mailbox: str, ctx: Context) -> None:
    """What has been held for a mailbox comes to it again, each as a record of its own: as many as one record can hold
    now, and ``RELEASING`` is due for the rest."""
    size, more = 0, False
    released: list[tuple[str, TaskNotification]] = []
    for key, notification in ctx.scan(HELD, *keys_below(mailbox)):
        size += len(HELD.encode(notification))
        if more := bool(released) and size > _RELEASED_BYTES:
            break
        released.append((key, notification))
    for key, notification in released:
        forget_held(key, ctx)
        ctx.emit(MAILBOXES, mailbox, NotifyTask(notification))
    if more:
        ctx.put(RELEASING, mailbox, value=True)
        ctx.wake(RELEASING, mailbox, ctx.now)
    else:
        ctx.delete(RELEASING, mailbox)


def held_by(mailbox: str, ctx: Context) -> int:
    """How many are held for a mailbox."""
    return sum(1 for _ in ctx.scan(HELD, *keys_below(mailbox)))
