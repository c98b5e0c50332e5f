"""A notification becomes a mail in the outbox, or its status says why it does not."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.notifications import SuppressionReason, TaskNotification
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.renderer import Notification, RenderedMail, Renderer
from streamnotify.stations.context import Context
from streamnotify.wire.commands import DeliverMail
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.topics import NOTIFICATION_STATUS, OUTBOX

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """How long to wait for the directory, how old a mail may become, and whose addresses nobody reads."""

    recipient_hold: timedelta = timedelta(seconds=60)
    mail_max_age: timedelta = timedelta(days=3)
    placeholder_domains: frozenset[str] = frozenset({"placeholder.rhesis.ai"})


def mail_at_once(
    policy: MailboxPolicy, renderer: Renderer | None, notification: Notification, email: str, ctx: Context
) -> None:
    """Put the mail telling ``email`` into the outbox; suppress it if there is no relay or ``email`` is no address."""
    if renderer is None:
        suppress(notification, SuppressionReason.SMTP_NOT_CONFIGURED, ctx)
        return
    about = f"task {notification.task_id}" if notification.task_id else notification.kind
    try:
        rendered = render(renderer, notification, email, ctx.now)
    except InvalidAddress as error:
        log.warning("No email for %s: %s", about, error)
        suppress(notification, SuppressionReason.INVALID_ADDRESS, ctx)
        return
    for warning in rendered.warnings:
        log.warning("Task %s: %s", notification.task_name, warning)
    mail = rendered.outgoing(notification, ctx.now, policy.mail_max_age)
    ctx.emit(OUTBOX, mail.to.lower(), DeliverMail(mail))
    report(notification, ctx, NotificationStep.QUEUED, to=mail.to, subject=mail.subject, message_id=mail.message_id)


def render(renderer: Renderer, notification: Notification, email: str, now: datetime) -> RenderedMail:
    """The mail of a notification of any kind.

    Raises:
        InvalidAddress: if ``email`` is no address.
    """
    if isinstance(notification, TaskNotification):
        return renderer.task_mail(notification, email, now)
    if isinstance(notification, AlertNotification):
        return renderer.alert_mail(notification, email, now)
    return renderer.health_mail(notification, email, now)


def suppress(notification: Notification, reason: SuppressionReason, ctx: Context) -> None:
    """Record that the notification will not be sent."""
    report(notification, ctx, NotificationStep.SUPPRESSED, reason=reason, to=notification.email)


def report(
    notification: Notification,
    ctx: Context,
    step: NotificationStep,
    *,
    reason: SuppressionReason | None = None,
    to: str | None = None,
    subject: str | None = None,
    message_id: str | None = None,
    next_at: datetime | None = None,
) -> None:
    """Record a step of the notification."""
    status = NotificationStatus(
        notification_id=notification.notification_id,
        status=step,
        reason=reason,
        kind=notification.kind,
        task_name=notification.task_name,
        task_id=notification.task_id,
        monitor=None if isinstance(notification, TaskNotification) else notification.monitor,
        to=to,
        user_id=notification.user_id,
        organization_id=notification.organization_id,
        subject=subject,
        message_id=message_id,
        next_at=next_at,
        at=ctx.now,
    )
    ctx.emit(NOTIFICATION_STATUS, notification.notification_id, status)
