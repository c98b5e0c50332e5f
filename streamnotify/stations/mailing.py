"""A notification becomes a mail in the outbox, or its status says why it does not."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.digest import ALERT_LANE, Lane, LanePolicy
from streamnotify.domain.notifications import DIGEST, SuppressionReason, TaskNotification
from streamnotify.domain.pending import DigestNotification
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.renderer import Notification, RenderedMail, Renderer
from streamnotify.stations.context import Context
from streamnotify.wire.commands import DeliverMail
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.topics import NOTIFICATION_STATUS, OUTBOX

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MailboxPolicy:
    """How long to wait for the directory, how old a mail may become, whose addresses nobody reads, and when mails are
    squashed into digests."""

    recipient_hold: timedelta = timedelta(seconds=60)
    mail_max_age: timedelta = timedelta(days=3)
    placeholder_domains: frozenset[str] = frozenset({"placeholder.rhesis.ai"})
    lanes: Mapping[Lane, LanePolicy] = field(
        default_factory=lambda: {Lane.TASKS: LanePolicy(), Lane.ALERTS: ALERT_LANE}
    )


def mail_at_once(
    policy: MailboxPolicy,
    renderer: Renderer | None,
    notification: Notification,
    email: str,
    ctx: Context,
) -> bool:
    """Put the mail telling ``email`` into the outbox; whether there is one.

    It is suppressed if there is no relay or ``email`` is no address.
    """
    if renderer is None:
        suppress(notification, SuppressionReason.SMTP_NOT_CONFIGURED, ctx)
        return False
    try:
        rendered = render(renderer, notification, email, ctx.now)
    except InvalidAddress as error:
        log.warning("No email for %s: %s", _about(notification), error)
        suppress(notification, SuppressionReason.INVALID_ADDRESS, ctx)
        return False
    for warning in rendered.warnings:
        log.warning("%s: %s", _about(notification), warning)
    mail = rendered.outgoing(notification, ctx.now, policy.mail_max_age)
    ctx.emit(OUTBOX, mail.to.lower(), DeliverMail(mail))
    report(notification, ctx, NotificationStep.QUEUED, to=mail.to, subject=mail.subject, message_id=mail.message_id)
    return True


def render(renderer: Renderer, notification: Notification, email: str, now: datetime) -> RenderedMail:
    """The mail of a notification of any kind.

    Raises:
        InvalidAddress: if ``email`` is no address.
    """
    if isinstance(notification, TaskNotification):
        return renderer.task_mail(notification, email, now)
    if isinstance(notification, AlertNotification):
        return renderer.alert_mail(notification, email, now)
    if isinstance(notification, DigestNotification):
        return renderer.digest_mail(notification, email, now)
    return renderer.health_mail(notification, email, now)


def suppress(
    notification: Notification,
    reason: SuppressionReason,
    ctx: Context,
    *,
    digest_id: str | None = None,
) -> None:
    """Record that the notification will not be sent; ``digest_id`` is of the digest that it waited for."""
    report(notification, ctx, NotificationStep.SUPPRESSED, reason=reason, to=notification.email, digest_id=digest_id)


def report(
    notification: Notification,
    ctx: Context,
    step: NotificationStep,
    *,
    reason: SuppressionReason | None = None,
    to: str | None = None,
    digest_id: str | None = None,
    subject: str | None = None,
    message_id: str | None = None,
    next_at: datetime | None = None,
) -> None:
    """Record a step of the notification."""
    is_digest = isinstance(notification, DigestNotification)
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
        digest_id=notification.notification_id if is_digest else digest_id,
        count=notification.total if isinstance(notification, DigestNotification) else None,
        subject=subject,
        message_id=message_id,
        next_at=next_at,
        at=ctx.now,
    )
    ctx.emit(NOTIFICATION_STATUS, notification.notification_id, status)


def report_digest(
    digest_id: str,
    count: int,
    ctx: Context,
    step: NotificationStep,
    *,
    kind: str = DIGEST,
    organization_id: str | None = None,
    reason: SuppressionReason | None = None,
    moved_to: str | None = None,
    next_at: datetime | None = None,
) -> None:
    """Record what has become of ``count`` notifications of a digest that are not recorded by themselves.

    Args:
        digest_id: the digest they waited for.
        count: how many they are.
        ctx: the station's.
        step: what has become of them.
        kind: theirs, if they are of one.
        organization_id: likewise.
        reason: why, if they are not sent.
        moved_to: the digest that they wait for from now on.
        next_at: when that is flushed.
    """
    status = NotificationStatus(
        notification_id=digest_id,
        status=step,
        reason=reason,
        kind=kind,
        organization_id=organization_id,
        digest_id=moved_to or digest_id,
        count=count,
        next_at=next_at,
        at=ctx.now,
    )
    ctx.emit(NOTIFICATION_STATUS, digest_id, status)


def _about(notification: Notification) -> str:
    """What the log calls it."""
    if isinstance(notification, DigestNotification):
        return f"digest {notification.notification_id}"
    return f"task {notification.task_name}" if notification.task_name else notification.kind
