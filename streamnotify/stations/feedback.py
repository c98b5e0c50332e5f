"""feedback: what became of mails after the relay took them; tells the addresses' keeper, and records the status.

What somebody has read elsewhere every mailbox is told, since only one knows whether it waits in its digest.

Its commands carry no identity: evidence merges whatever its order and repetition, and what was read is taken out once.
So a late or repeated command does no harm, and one that overtakes another loses nothing (DESIGN 3.7).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable
from datetime import datetime

from streamnotify.domain.feedback import BounceType, FeedbackEvent, enhanced_status, sign_of
from streamnotify.domain.suppression import Evidence
from streamnotify.stations.context import Context, Folding, Record, Station
from streamnotify.stations.public_records import count_misspelt, in_utc, opened_cloudevent, published_at
from streamnotify.wire.cloudevents import NO_ATTRIBUTES
from streamnotify.wire.commands import MarkRead, RecordFeedback
from streamnotify.wire.feedback import NotificationFeedback, parse
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_FEEDBACK, NOTIFICATION_STATUS, OUTBOX

logger = logging.getLogger(__name__)

_FIELDS = tuple(NotificationFeedback.model_fields)
_DETAIL_LENGTH = 500  # characters of others' words that are kept

# The steps an event is shown as. The others say nothing new about the notification.
_STEPS = {
    FeedbackEvent.DELIVERED: NotificationStep.SENT,
    FeedbackEvent.DEFERRED: NotificationStep.DEFERRED,
    FeedbackEvent.BOUNCED: NotificationStep.BOUNCED,
    FeedbackEvent.COMPLAINED: NotificationStep.COMPLAINED,
    FeedbackEvent.REJECTED: NotificationStep.FAILED,
    FeedbackEvent.FAILED: NotificationStep.FAILED,
}


def station() -> Station:
    """The feedback station."""
    misspelt: Counter[str] = Counter()

    def handle(record: Record, ctx: Context) -> None:
        opened = opened_cloudevent(record)
        feedback = parse(record.value if opened is None else opened.data)
        count_misspelt(feedback.model_extra, _FIELDS, misspelt, "a delivery event", logger)
        attributes = NO_ATTRIBUTES if opened is None else opened.attributes
        at = _happened_at(feedback.at or attributes.time, record)
        _tell_keeper(feedback, at, feedback.event_id or attributes.id or f"{record.partition}-{record.offset}", ctx)
        _record_status(feedback, at, ctx)
        if feedback.event is FeedbackEvent.READ and feedback.notification is not None:
            ctx.emit_everywhere(MAILBOXES, MarkRead(feedback.notification))

    return Station("feedback", (NOTIFICATION_FEEDBACK,), handle, folding=Folding(_identity, _combine))


def _identity(command: RecordFeedback | MarkRead) -> Hashable:
    return command


def _combine(a: RecordFeedback | MarkRead, b: RecordFeedback | MarkRead) -> RecordFeedback | MarkRead | None:
    return a if a == b else None


def _tell_keeper(feedback: NotificationFeedback, at: datetime, event_id: str, ctx: Context) -> None:
    sign = sign_of(feedback.event, feedback.bounce_type, enhanced_status(feedback.status))
    if sign is None or feedback.email is None:
        return
    address = feedback.email.lower()
    mail = feedback.notification or feedback.message_id or event_id
    evidence = Evidence(sign, at, mail, feedback.source, _short(feedback.detail or feedback.status))
    ctx.emit(OUTBOX, address, RecordFeedback(address, feedback.organization_id or None, evidence))


def _record_status(feedback: NotificationFeedback, at: datetime, ctx: Context) -> None:
    step, notification_id = _STEPS.get(feedback.event), feedback.notification
    if step is None or notification_id is None:
        return
    status = NotificationStatus(
        notification_id=notification_id,
        status=step,
        reason=_reason(feedback),
        to=feedback.email,
        organization_id=feedback.organization_id or None,
        message_id=feedback.message_id,
        at=at,
    )
    ctx.emit(NOTIFICATION_STATUS, notification_id, status)


def _reason(feedback: NotificationFeedback) -> str | None:
    """The event's own name, where the step does not say it already; of a bounce how hard it was."""
    if feedback.event is FeedbackEvent.BOUNCED:
        return f"{(feedback.bounce_type or BounceType.HARD).value}_bounce"
    if feedback.event is FeedbackEvent.COMPLAINED:
        return None
    return f"{feedback.event.value}_later"


def _short(text: str | None) -> str | None:
    return text[:_DETAIL_LENGTH] if text else None


def _happened_at(said: datetime | None, record: Record) -> datetime:
    """As the event says, but not after it was published: others' clocks may be wrong."""
    published = published_at(record)
    return published if said is None else min(in_utc(said, "at"), published)
