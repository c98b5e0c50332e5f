"""The deliveries station: each mail is attempted until the relay has taken or refused it, or it has expired.

The ledger remembers what became of each mail for 30 days, so that no mail goes out twice (DESIGN section 9,
"Attempts"). An attempt itself runs outside the station; its result comes back as a record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from streamnotify.domain import delivery
from streamnotify.domain.delivery import AttemptResult, Delivery, DeliveryPolicy, DeliveryState, Outcome, OutgoingMail
from streamnotify.errors import StateError
from streamnotify.stations import delivery_reports, opt_outs, organizations, refusals, superseding, suppression
from streamnotify.stations.context import Attempt, Context, Due, Performer, Station
from streamnotify.stations.refusals import MailRefused, Refusal
from streamnotify.wire.commands import (
    DeliverMail,
    MovePending,
    OutboxCommand,
    RecordFeedback,
    RecordResult,
    SetOptOuts,
    SetOrganization,
)
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, OUTBOX

log = logging.getLogger(__name__)

# key: notification_id; kept 30 d after the end. Version 1 had no may_have_arrived, the last field.
LEDGER = Row(b"l", Delivery, version=2, upcasts={1: lambda old: Delivery(DeliveryState(old[0]), *old[1:])})
# key: notification_id; until the end. Older versions lacked the last fields: 1 monitor, 2 mailbox and digest.
MAIL = Row(b"m", OutgoingMail, version=3, upcasts=dict.fromkeys((1, 2), lambda old: OutgoingMail(*old)))


class MailSender(Protocol):
    """Hands mails to a relay; :class:`streamnotify.smtp.sender.Sender` does."""

    @property
    def at_once(self) -> int:
        """How many mails it sends side by side."""

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Try once; call ``check_lease`` first, right before MAIL and right before the final dot."""

    def remarks(self) -> Sequence[str]:
        """What an operator should know of the relay now, a line each; any thread may ask."""


def station(policy: DeliveryPolicy, sender: MailSender | None) -> Station:
    """The deliveries station.

    Args:
        policy: when to try again and how long to remember.
        sender: None if the SMTP settings are incomplete; mails from before then wait for better ones.
    """
    return Station(
        suppression.KEEPER,
        inputs=(OUTBOX,),
        handle=partial(handle, policy),
        rows=(
            LEDGER,
            MAIL,
            superseding.STANDING,
            suppression.ADDRESS,
            opt_outs.OPT_OUTS,
            organizations.ORGANIZATION_OFF,
        ),
        performer=performer(sender),
    )


def performer(sender: MailSender | None) -> Performer:
    """Hands the mail of an attempt to the relay; the result goes back to the station."""

    async def perform(attempt: Attempt) -> RecordResult:
        mail = attempt.rows.get(MAIL, attempt.key)
        if mail is None:
            raise StateError(f"attempt {attempt.number} of {attempt.key} is open, but its mail is gone")
        if sender is None:
            text = "SMTP configuration incomplete"
            return RecordResult(
                AttemptResult(attempt.key, attempt.number, Outcome.HELD, reason="smtp_not_configured", text=text)
            )
        try:
            return RecordResult(await sender.send(mail, attempt.number, refusals.checking(mail, attempt)))
        except MailRefused as refused:
            return RecordResult(
                AttemptResult(attempt.key, attempt.number, Outcome.HELD, reason=refused.reason, text=str(refused))
            )

    if sender is None:
        return Performer(perform, at_once=1)
    return Performer(perform, at_once=sender.at_once, remarks=sender.remarks)


def handle(policy: DeliveryPolicy, command: OutboxCommand | Due, ctx: Context) -> None:
    """A mail has come in, an attempt has ended, something is known about an address, somebody refuses something, or a
    row's time has come."""
    if isinstance(command, DeliverMail):
        _take_in(policy, command.mail, ctx)
    elif isinstance(command, RecordResult):
        _record(policy, command.result, ctx)
    elif isinstance(command, RecordFeedback):
        suppression.record_feedback(command, ctx)
    elif isinstance(command, SetOptOuts):
        opt_outs.set_opt_outs(command, ctx)
    elif isinstance(command, SetOrganization):
        organizations.set_organization(command, ctx)
    elif command.row is suppression.ADDRESS:
        suppression.forget(command.key, ctx)
    elif command.row is opt_outs.OPT_OUTS:
        opt_outs.forget(command.key, ctx)
    else:
        _look_again(policy, command.key, ctx)


def _take_in(policy: DeliveryPolicy, mail: OutgoingMail, ctx: Context) -> None:
    if ctx.get(LEDGER, mail.notification_id) is not None:
        log.info("Email %s to %s came again and is not sent again", mail.notification_id, mail.to)
        return
    ctx.put(MAIL, mail.notification_id, mail)
    if _enter(policy, delivery.begin(mail, ctx.now), mail, ctx).is_final:
        return  # it is refused or too late, and so takes no other's place
    for notification_id in superseding.take_in(mail, ctx):
        _look_again(policy, notification_id, ctx)


def _record(policy: DeliveryPolicy, result: AttemptResult, ctx: Context) -> None:
    ledger, mail = ctx.get(LEDGER, result.notification_id), ctx.get(MAIL, result.notification_id)
    if ledger is None or mail is None:
        return
    resolved = delivery.resolve(ledger, result, mail, ctx.now, policy)
    if resolved is None:
        return
    delivery_reports.log_result(mail, result, resolved.state)
    suppression.record_refusal(mail, result, ctx)
    _enter(policy, resolved, mail, ctx, result)


def _look_again(policy: DeliveryPolicy, notification_id: str, ctx: Context) -> None:
    ledger, mail = ctx.get(LEDGER, notification_id), ctx.get(MAIL, notification_id)
    if ledger is not None and ledger.state.is_final:
        ctx.delete(LEDGER, notification_id)
    elif ledger is not None and mail is not None:
        again = delivery.retry(ledger, mail, ctx.now)
        if again is not None:
            _enter(policy, again, mail, ctx)


def _enter(
    policy: DeliveryPolicy, ledger: Delivery, mail: OutgoingMail, ctx: Context, result: AttemptResult | None = None
) -> DeliveryState:
    """Write the delivery's new state and do what it asks for; the state that it has come to."""
    key, reason = mail.notification_id, None if result is None else result.reason
    if not ledger.state.is_final:
        ledger, reason = _looked_at(ledger, mail, ctx, reason)
    elif ledger.state is DeliveryState.EXPIRED:
        delivery_reports.log_expiry(mail)
    ctx.put(LEDGER, key, ledger)
    if ledger.state is DeliveryState.ATTEMPTING:
        ctx.start(key, ledger.attempt)
        return ledger.state
    if ledger.state.is_final:
        ctx.delete(MAIL, key)
        superseding.leave(mail, ctx)
    ctx.wake(LEDGER, key, ctx.now + policy.keep_for if ledger.state.is_final else ledger.next_at)
    ctx.emit(NOTIFICATION_STATUS, key, delivery_reports.status(ledger, mail, ctx.now, result, reason))
    return ledger.state


def _looked_at(ledger: Delivery, mail: OutgoingMail, ctx: Context, reason: str | None) -> tuple[Delivery, str | None]:
    """The delivery and the ``reason`` for its state, or those of a mail that must not go any more."""
    refusal = _refusal(ledger, mail, ctx)
    if refusal is not None:
        ledger = delivery.give_up(ledger, DeliveryState.SUPPRESSED)
        delivery_reports.log_refusal(mail, refusal, ledger)
        _give_back(mail, refusal, ledger, ctx)
        return ledger, refusal.reason
    if superseding.is_superseded(mail, ctx):
        delivery_reports.log_superseded(mail)
        return delivery.give_up(ledger, DeliveryState.EXPIRED), delivery.SUPERSEDED
    return ledger, reason


def _refusal(ledger: Delivery, mail: OutgoingMail, ctx: Context) -> Refusal | None:
    """Why the mail must not go now."""
    refusal, mailbox = refusals.refusal_of(mail, ctx, ctx.now), mail.mailbox
    if refusal is not None and ledger.is_first and mailbox and opt_outs.take_back_the_last(mailbox, ctx):
        return refusals.refusal_of(mail, ctx, ctx.now)
    return refusal


def _give_back(mail: OutgoingMail, refusal: Refusal, ledger: Delivery, ctx: Context) -> None:
    """Have the mailbox make a new mail of what is still wanted of a digest, unless this one may have arrived."""
    if mail.digest is None or mail.mailbox is None or refusal.of_address or ledger.may_have_arrived:
        return
    ctx.emit(MAILBOXES, mail.mailbox, MovePending(mail.mailbox, mail.digest, at_once=True))
