"""The deliveries station: each mail is attempted until the relay has taken or refused it, or it has expired.

The ledger remembers what became of each mail for 30 days, so that no mail goes out twice (DESIGN section 9,
"Attempts"). An attempt itself runs outside the station; its result comes back as a record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from streamnotify.domain import delivery
from streamnotify.domain.delivery import AttemptResult, Delivery, DeliveryPolicy, DeliveryState, Outcome, OutgoingMail
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.errors import StateError
from streamnotify.stations import suppression
from streamnotify.stations.context import Attempt, Context, Due, Performer, Station
from streamnotify.wire.commands import DeliverMail, RecordFeedback, RecordResult
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import NOTIFICATION_STATUS, OUTBOX

log = logging.getLogger(__name__)

LEDGER = Row(b"l", Delivery)  # key: notification_id; kept 30 d after the end
# key: notification_id; until the end. Version 1 had no monitor, the last field.
MAIL = Row(b"m", OutgoingMail, version=2, upcasts={1: lambda old: OutgoingMail(*old)})


class MailSender(Protocol):
    """Hands mails to a relay; :class:`streamnotify.smtp.sender.Sender` does."""

    @property
    def at_once(self) -> int:
        """How many mails it sends side by side."""

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Try once; call ``check_lease`` right before MAIL and right before the final dot."""


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
        rows=(LEDGER, MAIL, suppression.ADDRESS),
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
            return RecordResult(await sender.send(mail, attempt.number, suppression.checking(mail, attempt)))
        except suppression.AddressSuppressed as found:
            reason = SuppressionReason.SUPPRESSED_ADDRESS.value
            return RecordResult(
                AttemptResult(attempt.key, attempt.number, Outcome.HELD, reason=reason, text=str(found))
            )

    return Performer(perform, at_once=sender.at_once if sender is not None else 1)


def handle(policy: DeliveryPolicy, command: DeliverMail | RecordResult | RecordFeedback | Due, ctx: Context) -> None:
    """A mail has come in, an attempt has ended, something is known about an address, or a row's time has come."""
    if isinstance(command, DeliverMail):
        _take_in(policy, command.mail, ctx)
    elif isinstance(command, RecordResult):
        _record(policy, command.result, ctx)
    elif isinstance(command, RecordFeedback):
        suppression.record_feedback(command, ctx)
    elif command.row is suppression.ADDRESS:
        suppression.forget(command.key, ctx)
    else:
        _look_again(policy, command.key, ctx)


def _take_in(policy: DeliveryPolicy, mail: OutgoingMail, ctx: Context) -> None:
    if ctx.get(LEDGER, mail.notification_id) is not None:
        log.info("Email %s to %s came again and is not sent again", mail.notification_id, mail.to)
        return
    ctx.put(MAIL, mail.notification_id, mail)
    _enter(policy, delivery.begin(mail, ctx.now), mail, ctx)


def _record(policy: DeliveryPolicy, result: AttemptResult, ctx: Context) -> None:
    ledger, mail = ctx.get(LEDGER, result.notification_id), ctx.get(MAIL, result.notification_id)
    if ledger is None or mail is None:
        return
    resolved = delivery.resolve(ledger, result, mail, ctx.now, policy)
    if resolved is None:
        return
    if result.outcome is Outcome.SENT:
        log.info("%s sent successfully to %s%s", _what(mail), mail.to, _about(mail))
    elif result.outcome is not Outcome.HELD:  # then nothing was tried; the sender has logged the outage, once
        level = logging.ERROR if resolved.state is DeliveryState.FAILED else logging.WARNING
        log.log(level, "Failed to send %s to %s: %s", _what(mail).lower(), mail.to, result.words)
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
) -> None:
    """Write the delivery's new state and do what it asks for."""
    key = mail.notification_id
    if not ledger.state.is_final and (found := suppression.suppressed(mail, ctx, ctx.now)) is not None:
        begun = ledger.attempt - (ledger.state is DeliveryState.ATTEMPTING)
        ledger = Delivery(DeliveryState.SUPPRESSED, begun)
        log.info("Email to %s%s is not sent: %s", mail.to, _about(mail), found.cause.value)
    ctx.put(LEDGER, key, ledger)
    if ledger.state is DeliveryState.ATTEMPTING:
        ctx.start(key, ledger.attempt)
        return
    if ledger.state is DeliveryState.EXPIRED:
        late = f"{mail.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        log.error("Email to %s%s expired: not delivered by %s", mail.to, _about(mail), late)
    if ledger.state.is_final:
        ctx.delete(MAIL, key)
    ctx.wake(LEDGER, key, ctx.now + policy.keep_for if ledger.state.is_final else ledger.next_at)
    ctx.emit(NOTIFICATION_STATUS, key, _status(ledger, mail, ctx, result))


def _status(ledger: Delivery, mail: OutgoingMail, ctx: Context, result: AttemptResult | None) -> NotificationStatus:
    reason = result.reason if result is not None else None
    if ledger.state is DeliveryState.SUPPRESSED:
        reason = SuppressionReason.SUPPRESSED_ADDRESS
    return NotificationStatus(
        notification_id=mail.notification_id,
        status=NotificationStep(ledger.state.value),
        reason=reason,
        kind=mail.kind,
        task_name=mail.task_name,
        task_id=mail.task_id,
        monitor=mail.monitor,
        to=mail.to,
        user_id=mail.user_id,
        organization_id=mail.organization_id,
        subject=mail.subject,
        message_id=mail.message_id,
        attempt=ledger.attempt,
        smtp_stage=result.stage if result is not None else None,
        smtp_code=result.code if result is not None else None,
        next_at=ledger.next_at,
        at=ctx.now,
    )


def _what(mail: OutgoingMail) -> str:
    """What the log calls a mail."""
    if mail.monitor is not None:
        return "Task status alert"
    return "Service health email" if mail.task_id is None else "Task completion email"


def _about(mail: OutgoingMail) -> str:
    """Which task a mail is about, for the log: an alert is about all of a task's runs."""
    if mail.monitor is not None:
        return f" for task {mail.task_name}"
    return "" if mail.task_id is None else f" for task {mail.task_id}"
