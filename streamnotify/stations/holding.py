"""Notifications for users whom the directory does not know yet: they wait for it to catch up (SPEC section 4)."""

from __future__ import annotations

from itertools import islice

from streamnotify.domain.notifications import TaskNotification
from streamnotify.stations.context import Context
from streamnotify.stations.mailing import MailboxPolicy, report
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.rows import Row

_RELEASED_AT_ONCE = 50  # so that what becomes of them fits into one chunk

# key: mailbox, 0, notification_id. Version 1, keyed by notification_id alone, lacked the last fields.
HELD = Row(b"h", TaskNotification, version=2, upcasts={1: lambda old: TaskNotification(*old)}, ordered=True)
RELEASING = Row(b"n", bool)  # key: mailbox; while more are held than could be released at once


def hold(mailbox: str, notification: TaskNotification, policy: MailboxPolicy, ctx: Context) -> None:
    """Hold a notification for a user who is not known, until they are or the policy's time is over."""
    key = f"{mailbox}\0{notification.notification_id}"
    held_until = ctx.now + policy.recipient_hold
    ctx.put(HELD, key, notification)
    ctx.wake(HELD, key, held_until)
    report(notification, ctx, NotificationStep.HELD, next_at=held_until)


def forget_held(key: str, ctx: Context) -> None:
    """It is held no longer."""
    ctx.delete(HELD, key)
    ctx.wake(HELD, key, None)


def release(mailbox: str, ctx: Context) -> list[TaskNotification]:
    """What has been held for a mailbox: some of it now, and ``RELEASING`` is due for the rest."""
    found = list(islice(ctx.scan(HELD, f"{mailbox}\0", f"{mailbox}\1"), _RELEASED_AT_ONCE + 1))
    for key, _ in found[:_RELEASED_AT_ONCE]:
        forget_held(key, ctx)
    if len(found) > _RELEASED_AT_ONCE:
        ctx.put(RELEASING, mailbox, value=True)
        ctx.wake(RELEASING, mailbox, ctx.now)
    else:
        ctx.delete(RELEASING, mailbox)
    return [notification for _, notification in found[:_RELEASED_AT_ONCE]]


def held_by(mailbox: str, ctx: Context) -> int:
    """How many are held for a mailbox."""
    return sum(1 for _ in ctx.scan(HELD, f"{mailbox}\0", f"{mailbox}\1"))
