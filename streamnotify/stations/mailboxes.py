"""The mailboxes station: who gets a notification, when, and in which words (DESIGN section 1).

There is no directory of users yet, superusers apart: a user's notification goes to the address it brings, or is held
for the directory to catch up and then suppressed.
"""

from __future__ import annotations

import logging
from functools import partial

from streamnotify.domain.alerts import AlertNotification, HealthNotification
from streamnotify.domain.notifications import SuppressionReason, TaskNotification, is_placeholder
from streamnotify.domain.recipients import USER, address_mailbox, mailbox_of
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Context, Due, Station
from streamnotify.stations.late_checks import OUTAGE, WRONG, gather_late_check, tell_of_outage
from streamnotify.stations.mailing import MailboxPolicy, mail_at_once, report, suppress
from streamnotify.stations.superusers import (
    MEMBERS,
    TELLING,
    UNTOLD,
    set_superuser,
    stop_waiting,
    tell_of_check,
    tell_the_rest,
)
from streamnotify.wire.commands import (
    MailboxesCommand,
    NotifyAlert,
    NotifyHealth,
    NotifyTask,
    ReportLateCheck,
    TellSuperusers,
)
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES

log = logging.getLogger(__name__)

HELD = Row(b"h", TaskNotification)  # key: notification_id


def station(policy: MailboxPolicy, renderer: Renderer | None) -> Station:
    """The mailboxes station.

    Args:
        policy: its times and placeholder domains.
        renderer: None if the SMTP settings are incomplete; every mail is suppressed ``smtp_not_configured`` then.
    """
    return Station(
        "mailboxes",
        inputs=(MAILBOXES,),
        handle=partial(handle, policy, renderer),
        rows=(HELD, MEMBERS, UNTOLD, TELLING, OUTAGE, WRONG),
    )


def handle(policy: MailboxPolicy, renderer: Renderer | None, command: MailboxesCommand | Due, ctx: Context) -> None:
    """Decide about one notification, about one that was held and is due, or do what ``@superusers`` does."""
    if isinstance(command, NotifyTask):
        _decide_about_task(policy, renderer, command, ctx)
    elif isinstance(command, NotifyAlert):
        _decide_about_alert(policy, renderer, command.alert, ctx)
    elif isinstance(command, NotifyHealth):
        _decide_about_alert(policy, renderer, command.health, ctx)
    elif isinstance(command, TellSuperusers):
        tell_of_check(command, policy, ctx)
    elif isinstance(command, ReportLateCheck):
        gather_late_check(command.late, ctx)
    elif isinstance(command, Due):
        _look_again(command, renderer, ctx)
    else:
        set_superuser(command, ctx)


def _look_again(due: Due, renderer: Renderer | None, ctx: Context) -> None:
    if due.row is UNTOLD:
        stop_waiting(due.key, renderer, ctx)
    elif due.row is TELLING:
        tell_the_rest(due.key, ctx)
    elif due.row is OUTAGE:
        tell_of_outage(ctx)
    else:
        _give_up_waiting(due.key, ctx)


def _decide_about_task(policy: MailboxPolicy, renderer: Renderer | None, command: NotifyTask, ctx: Context) -> None:
    notification = command.notification
    mailbox = command.mailbox or mailbox_of(notification)
    if mailbox is not None and mailbox.startswith(USER):
        _decide_for_unknown_user(policy, notification, ctx)
    elif notification.email is None:
        suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)
    else:
        mail_at_once(policy, renderer, notification, notification.email, ctx)


def _decide_about_alert(
    policy: MailboxPolicy, renderer: Renderer | None, alert: AlertNotification | HealthNotification, ctx: Context
) -> None:
    """Accept it here, where each recipient's comes to once, and mail it."""
    report(alert, ctx, NotificationStep.ACCEPTED, to=alert.email)
    if alert.email is None:
        suppress(alert, SuppressionReason.NO_RECIPIENT, ctx)
    elif is_placeholder(alert.email, policy.placeholder_domains):
        suppress(alert, SuppressionReason.PLACEHOLDER_ADDRESS, ctx)
    else:
        mail_at_once(policy, renderer, alert, alert.email, ctx)


def _decide_for_unknown_user(policy: MailboxPolicy, notification: TaskNotification, ctx: Context) -> None:
    email = notification.email
    if email is None:
        held_until = ctx.now + policy.recipient_hold
        ctx.put(HELD, notification.notification_id, notification)
        ctx.wake(HELD, notification.notification_id, held_until)
        report(notification, ctx, NotificationStep.HELD, next_at=held_until)
    elif is_placeholder(email, policy.placeholder_domains):
        suppress(notification, SuppressionReason.PLACEHOLDER_ADDRESS, ctx)
    else:
        mailbox = address_mailbox(email)
        ctx.emit(MAILBOXES, mailbox, NotifyTask(notification, mailbox=mailbox))


def _give_up_waiting(notification_id: str, ctx: Context) -> None:
    notification = ctx.get(HELD, notification_id)
    if notification is None:
        return
    ctx.delete(HELD, notification_id)
    log.warning("No email found for user %s", notification.user_id)
    suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)
