"""The mailboxes station: who gets a notification, when, and in which words (DESIGN section 1).

This module says what each command does; :mod:`owners` knows whose mailbox it is, :mod:`digests` when a mail goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from streamnotify.domain.notifications import SuppressionReason, TaskNotification, is_placeholder
from streamnotify.domain.recipients import ADDRESS, SUPERUSERS, USER, Notification, address_mailbox, mailbox_of
from streamnotify.render.renderer import Renderer
from streamnotify.stations import digests, lanes, moves, owner_changes, owners
from streamnotify.stations.context import Context, Due, Station
from streamnotify.stations.flushes import addressed
from streamnotify.stations.forwarding import Notify, forward
from streamnotify.stations.holding import HELD, RELEASING, forget_held, held_by, hold, release
from streamnotify.stations.late_checks import OUTAGE, WRONG, gather_late_check, tell_of_outage
from streamnotify.stations.mailing import MailboxPolicy, report, suppress
from streamnotify.stations.organizations import ORGANIZATION_OFF, set_organization
from streamnotify.stations.owner_changes import CLAIM
from streamnotify.stations.owners import OWNER, Owner
from streamnotify.stations.superusers import (
    MEMBERS,
    TELLING,
    UNTOLD,
    members,
    set_superuser,
    stop_waiting,
    tell_of_check,
    tell_the_rest,
)
from streamnotify.wire.commands import (
    AskMailbox,
    ChangePreferences,
    MailboxAnswer,
    MailboxesCommand,
    MarkRead,
    MovePending,
    NotifyAlert,
    NotifyHealth,
    NotifyTask,
    ReportLateCheck,
    SetAlias,
    SetOrganization,
    SetPreferences,
    SetProfile,
    SetSuperuser,
    TellSuperusers,
    Unsubscribe,
)
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.topics import ANSWERS, MAILBOXES

log = logging.getLogger(__name__)


def station(policy: MailboxPolicy, renderer: Renderer | None) -> Station:
    """The mailboxes station.

    Args:
        policy: its times, lanes and placeholder domains.
        renderer: None if the SMTP settings are incomplete; every mail is suppressed ``smtp_not_configured`` then.
    """
    return Station(
        "mailboxes",
        inputs=(MAILBOXES,),
        handle=Mailboxes(policy, renderer).handle,
        rows=(
            HELD,
            RELEASING,
            MEMBERS,
            UNTOLD,
            TELLING,
            OUTAGE,
            WRONG,
            OWNER,
            CLAIM,
            ORGANIZATION_OFF,
            *lanes.ROWS,
        ),
    )


class Mailboxes:
    """What the mailboxes of a partition do; see :func:`station`."""

    def __init__(self, policy: MailboxPolicy, renderer: Renderer | None) -> None:
        self._policy = policy
        self._renderer = renderer
        self._does: dict[type, Callable[[Any, Context], None]] = {
            Due: self._look_again,
            NotifyTask: lambda command, ctx: self._notify(command, command.notification, ctx),
            NotifyAlert: lambda command, ctx: self._notify(command, command.alert, ctx),
            NotifyHealth: lambda command, ctx: self._notify(command, command.health, ctx),
            TellSuperusers: lambda command, ctx: tell_of_check(command, policy, ctx),
            ReportLateCheck: lambda command, ctx: gather_late_check(command.late, ctx),
            SetSuperuser: set_superuser,
            SetProfile: self._set_profile,
            SetPreferences: lambda command, ctx: self._reschedule(
                command.mailbox, owner_changes.set_preferences(command, ctx), ctx
            ),
            Unsubscribe: lambda command, ctx: self._reschedule(
                command.scope.mailbox, owner_changes.unsubscribe(command, ctx), ctx
            ),
            ChangePreferences: lambda command, ctx: self._reschedule(
                command.mailbox, owner_changes.change_preferences(command, ctx), ctx
            ),
            SetOrganization: set_organization,
            SetAlias: self._set_alias,
            MovePending: partial(moves.take_over, policy, renderer),
            MarkRead: lambda command, ctx: digests.mark_read(policy, command.notification_id, ctx),
            AskMailbox: self._answer,
        }

    def handle(self, command: MailboxesCommand | Due, ctx: Context) -> None:
        """Do what a command says, or look at what is due."""
        self._does[type(command)](command, ctx)

    def _look_again(self, due: Due, ctx: Context) -> None:
        if due.row is lanes.LANE:
            digests.look(self._policy, self._renderer, due.key, ctx)
        elif due.row is UNTOLD:
            stop_waiting(due.key, self._renderer, ctx)
        elif due.row is TELLING:
            tell_the_rest(due.key, ctx)
        elif due.row is OUTAGE:
            tell_of_outage(ctx)
        elif due.row is RELEASING:
            release(due.key, ctx)
        else:
            self._stop_holding(due.key, ctx)

    def _notify(self, command: Notify, notification: Notification, ctx: Context) -> None:
        """Take a notification, or send it on to the mailbox that is to take it."""
        if command.mailbox is None and not isinstance(notification, TaskNotification):
            report(notification, ctx, NotificationStep.ACCEPTED, to=notification.email)
        mailbox = command.mailbox or mailbox_of(notification)
        if mailbox is None:
            suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)
            return
        owner = owners.owner_of(mailbox, ctx)
        if mailbox.startswith(USER) and owner.profile is None:
            self._without_profile(mailbox, command, notification, ctx)
        elif mailbox.startswith(ADDRESS) and owner.only_user is not None and not command.to_stay:
            forward(notification, owner.only_user, ctx, to_stay=False)
        else:
            self._take(mailbox, owner, notification, ctx)

    def _without_profile(self, mailbox: str, command: Notify, notification: Notification, ctx: Context) -> None:
        """The directory does not know the user: a given address will do, else it may need a moment to catch up."""
        if isinstance(notification, TaskNotification) and notification.email is None:
            hold(mailbox, notification, self._policy, ctx)
        elif notification.email is not None:
            # An alias that has led here leads nowhere by now: it must not lead back again.
            forward(notification, address_mailbox(notification.email), ctx, to_stay=command.mailbox is not None)

    def _take(self, mailbox: str, owner: Owner, notification: Notification, ctx: Context) -> None:
        """Mail it or squash it, unless its recipient is not to get it."""
        own = addressed(notification, mailbox, owner)
        reason = owners.refusal(owner, ctx, own.kind, own.organization_id)
        if reason is not None:
            suppress(own, reason, ctx)
        elif own.email is None:
            suppress(own, SuppressionReason.NO_RECIPIENT, ctx)
        elif owner.profile is not None and owner.profile.email is None:
            forward(notification, address_mailbox(own.email), ctx, to_stay=False)  # the directory has no address
        elif is_placeholder(own.email, self._policy.placeholder_domains):
            suppress(own, SuppressionReason.PLACEHOLDER_ADDRESS, ctx)
        else:
            digests.send_or_squash(self._policy, self._renderer, own, notification, owner, ctx)

    def _stop_holding(self, key: str, ctx: Context) -> None:
        """The directory has had its time."""
        notification = ctx.get(HELD, key)
        if notification is None:
            return
        forget_held(key, ctx)
        log.warning("No email found for user %s", notification.user_id)
        suppress(notification, SuppressionReason.NO_RECIPIENT, ctx)

    def _set_profile(self, command: SetProfile, ctx: Context) -> None:
        mailbox = USER + command.user_id
        owner = owner_changes.set_profile(mailbox, command.profile, ctx)
        if owner.profile is None:
            moves.decide_anew(self._policy, mailbox, owner, ctx)
        else:
            release(mailbox, ctx)
            digests.reschedule(self._policy, mailbox, owner, ctx)

    def _reschedule(self, mailbox: str, owner: Owner, ctx: Context) -> None:
        digests.reschedule(self._policy, mailbox, owner, ctx)

    def _set_alias(self, command: SetAlias, ctx: Context) -> None:
        owner = owner_changes.set_alias(command, ctx)
        if owner.only_user is not None:
            moves.move_all(self._policy, address_mailbox(command.address), owner, owner.only_user, ctx)

    def _answer(self, question: AskMailbox, ctx: Context) -> None:
        """How a mailbox stands; of :data:`SUPERUSERS` who they are."""
        mailbox = question.mailbox
        owner = owners.owner_of(mailbox, ctx)
        answer = MailboxAnswer(
            question.question,
            mailbox,
            profile=owner.profile,
            preferences=owner.preferences,
            forwards_to=owner.only_user,
            claimed_by=members(ctx) if mailbox == SUPERUSERS else owner.claimed_by,
            opt_outs=owner.opt_outs,
            lanes=digests.lanes_seen(self._policy, mailbox, owner, ctx),
            held=held_by(mailbox, ctx),
        )
        ctx.emit(ANSWERS, None, answer)
