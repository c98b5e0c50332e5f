"""The mailboxes station: who gets a notification, when, and in which words (DESIGN section 1).

There is no directory yet, so no user is known: a user's notification goes to the address it brings, or is held for the
directory to catch up and then suppressed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from streamnotify.domain.notifications import SuppressionReason, TaskNotification, is_placeholder
from streamnotify.domain.recipients import USER, address_mailbox, mailbox_of
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Context, Due, Station
from streamnotify.wire.commands import DeliverMail, NotifyTask
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, OUTBOX

log = logging.getLogger(__name__)

HELD = Row(b"h", TaskNotification)  # key: notification_id


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """How long to wait for the directory, how old a mail may become, and whose addresses nobody reads."""

    recipient_hold: timedelta = timedelta(seconds=60)
    mail_max_age: timedelta = timedelta(days=3)
    placeholder_domains: frozenset[str] = frozenset({"placeholder.rhesis.ai"})


def station(policy: MailboxPolicy, renderer: Renderer | None) -> Station:
    """The mailboxes station.

    Args:
        policy: its times and placeholder domains.
        renderer: None if the SMTP settings are incomplete; every mail is suppressed ``smtp_not_configured`` then.
    """
    return Station("mailboxes", inputs=(MAILBOXES,), handle=partial(handle, policy, renderer), rows=(HELD,))


def handle(policy: MailboxPolicy, renderer: Renderer | None, command: NotifyTask | Due, ctx: Context) -> None:
    """Decide about one notification, or about one that was held and is due."""
    if isinstance(command, Due):
        _give_up_waiting(command.key, ctx)
        return
    notification = command.notification
    mailbox = command.mailbox or mailbox_of(notification)
    if mailbox is not None and mailbox.startswith(USER):
        _decide_for_unknown_user(policy, notification, ctx)
    elif notification.email is None:
        _suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)
    else:
        _mail_at_once(policy, renderer, notification, notification.email, ctx)


def _decide_for_unknown_user(policy: MailboxPolicy, notification: TaskNotification, ctx: Context) -> None:
    email = notification.email
    if email is None:
        held_until = ctx.now + policy.recipient_hold
        ctx.put(HELD, notification.notification_id, notification)
        ctx.wake(HELD, notification.notification_id, held_until)
        _report(notification, ctx, NotificationStep.HELD, next_at=held_until)
    elif is_placeholder(email, policy.placeholder_domains):
        _suppress(notification, SuppressionReason.PLACEHOLDER_ADDRESS, ctx)
    else:
        mailbox = address_mailbox(email)
        ctx.emit(MAILBOXES, mailbox, NotifyTask(notification, mailbox=mailbox))


def _give_up_waiting(notification_id: str, ctx: Context) -> None:
    notification = ctx.get(HELD, notification_id)
    if notification is None:
        return
    ctx.delete(HELD, notification_id)
    log.warning("No email found for user %s", notification.user_id)
    _suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)


def _mail_at_once(
    policy: MailboxPolicy, renderer: Renderer | None, notification: TaskNotification, email: str, ctx: Context
) -> None:
    if renderer is None:
        _suppress(notification, SuppressionReason.SMTP_NOT_CONFIGURED, ctx)
        return
    try:
        rendered = renderer.task_mail(notification, email, ctx.now)
    except InvalidAddress as error:
        log.warning("No email for task %s: %s", notification.task_id, error)
        _suppress(notification, SuppressionReason.INVALID_ADDRESS, ctx)
        return
    for warning in rendered.warnings:
        log.warning("Task %s: %s", notification.task_name, warning)
    mail = rendered.outgoing(notification, ctx.now, policy.mail_max_age)
    ctx.emit(OUTBOX, mail.to.lower(), DeliverMail(mail))
    _report(
        notification,
        ctx,
        NotificationStep.QUEUED,
        to=mail.to,
        subject=mail.subject,
        message_id=mail.message_id,
    )


def _suppress(notification: TaskNotification, reason: SuppressionReason, ctx: Context) -> None:
    _report(notification, ctx, NotificationStep.SUPPRESSED, reason=reason, to=notification.email)


def _report(
    notification: TaskNotification,
    ctx: Context,
    step: NotificationStep,
    *,
    reason: SuppressionReason | None = None,
    to: str | None = None,
    subject: str | None = None,
    message_id: str | None = None,
    next_at: datetime | None = None,
) -> None:
    status = NotificationStatus(
        notification_id=notification.notification_id,
        status=step,
        reason=reason,
        kind=notification.kind,
        task_name=notification.task_name,
        task_id=notification.task_id,
        to=to,
        user_id=notification.user_id,
        organization_id=notification.organization_id,
        subject=subject,
        message_id=message_id,
        next_at=next_at,
        at=ctx.now,
    )
    ctx.emit(NOTIFICATION_STATUS, notification.notification_id, status)
