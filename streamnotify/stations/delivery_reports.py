"""What the log and notification-status say of a delivery."""

from __future__ import annotations

import logging
from datetime import datetime

from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.delivery import AttemptResult, Delivery, DeliveryState, Outcome, OutgoingMail
from streamnotify.domain.digest import Lane
from streamnotify.domain.pending import DigestItem, PendingDigest
from streamnotify.stations.refusals import Refusal
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep

log = logging.getLogger(__name__)


def status(
    delivery: Delivery, mail: OutgoingMail, at: datetime, result: AttemptResult | None, reason: str | None
) -> NotificationStatus:
    """The step a delivery has come to, by an attempt's ``result`` if there is one, for a ``reason`` if there is one."""
    return NotificationStatus(
        notification_id=mail.notification_id,
        status=NotificationStep(delivery.state.value),
        reason=reason,
        kind=mail.kind,
        task_name=mail.task_name,
        task_id=mail.task_id,
        monitor=mail.monitor,
        to=mail.to,
        user_id=mail.user_id,
        organization_id=mail.organization_id,
        digest_id=None if mail.digest is None else mail.digest.digest_id,
        count=None if mail.digest is None else mail.digest.total,
        subject=mail.subject,
        message_id=mail.message_id,
        attempt=delivery.attempt,
        smtp_stage=result.stage if result is not None else None,
        smtp_code=result.code if result is not None else None,
        next_at=delivery.next_at,
        at=at,
    )


def log_result(mail: OutgoingMail, result: AttemptResult, state: DeliveryState) -> None:
    """Say what an attempt came to; ``state`` is the delivery's after it."""
    if result.outcome is Outcome.SENT:
        for about in _each_about(mail):
            log.info("%s sent successfully to %s%s", _what(mail), mail.to, about)
    elif result.outcome is not Outcome.HELD:  # then nothing was tried; the sender has logged the outage, once
        level = logging.ERROR if state is DeliveryState.FAILED else logging.WARNING
        log.log(level, "Failed to send %s to %s: %s", _what(mail).lower(), mail.to, result.words)


def log_refusal(mail: OutgoingMail, refusal: Refusal, delivery: Delivery) -> None:
    """Say that a mail will not go, and why."""
    if delivery.may_have_arrived:
        log.warning("Email to %s%s may have arrived, is not sent again: %s", mail.to, _about(mail), refusal.words)
    else:
        log.info("Email to %s%s is not sent: %s", mail.to, _about(mail), refusal.words)


def log_expiry(mail: OutgoingMail) -> None:
    """Say that a mail was not delivered in time."""
    late = f"{mail.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    log.error("Email to %s%s expired: not delivered by %s", mail.to, _about(mail), late)


def log_superseded(mail: OutgoingMail) -> None:
    """Say that a mail is not sent late, for a later one says the opposite."""
    log.warning("%s to %s%s expired: a later one says the opposite", _what(mail), mail.to, _about(mail))


def _what(mail: OutgoingMail) -> str:
    """What the log calls a mail; a digest as the mails it stands for (SPEC section 4)."""
    if mail.monitor is not None or (mail.digest is not None and mail.digest.lane == Lane.ALERTS):
        return "Task status alert"
    return "Service health email" if mail.task_id is None and mail.digest is None else "Task completion email"


def _about(mail: OutgoingMail) -> str:
    """Which task a mail is about, for the log: an alert is about all of a task's runs."""
    if mail.digest is not None:
        return f" for {_counted(mail.digest, mail.digest.total)}"
    if mail.monitor is not None:
        return f" for task {mail.task_name}"
    return "" if mail.task_id is None else f" for task {mail.task_id}"


def _each_about(mail: OutgoingMail) -> list[str]:
    """As :func:`_about`; of a digest one for each notification it has kept, and one for how many more there are."""
    digest = mail.digest
    if digest is None:
        return [_about(mail)]
    kept = [f" for task {_task(item)}" for item in digest.items]
    more = digest.total - len(kept)
    return [*kept, f" for these and {_counted(digest, more, 'more ')}"] if more > 0 else kept


def _task(item: DigestItem) -> str:
    return item.task_name if isinstance(item, AlertNotification) else item.task_id


def _counted(digest: PendingDigest, number: int, more: str = "") -> str:
    noun = "alert" if digest.lane == Lane.ALERTS else "task"
    return f"{number} {more}{noun}{'' if number == 1 else 's'}"
