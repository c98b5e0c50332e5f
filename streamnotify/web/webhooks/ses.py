"""Amazon SES: what it tells an SNS topic, as event publishing (``eventType``) or as feedback (``notificationType``).

Both have the same objects; feedback names the mail's own headers only if that is switched on.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.web.webhooks.refusals import Unreadable
from streamnotify.web.webhooks.reports import Report
from streamnotify.web.webhooks.sns import Fetch, Message, Sns
from streamnotify.wire.feedback import NotificationFeedback, notification_of

log = logging.getLogger(__name__)

_EVENTS = {
    "Send": FeedbackEvent.SENT,
    "Delivery": FeedbackEvent.DELIVERED,
    "DeliveryDelay": FeedbackEvent.DEFERRED,
    "Bounce": FeedbackEvent.BOUNCED,
    "Complaint": FeedbackEvent.COMPLAINED,
    "Reject": FeedbackEvent.REJECTED,
    "Rendering Failure": FeedbackEvent.FAILED,
    "Open": FeedbackEvent.OPENED,
    "Click": FeedbackEvent.CLICKED,
}
_BOUNCE_TYPES = {"Permanent": BounceType.HARD, "Transient": BounceType.SOFT}
_SUBTYPES = {  # what a bounce's subtype says where no status code does
    "MessageTooLarge": "5.3.4",
    "ContentRejected": "5.6.0",
    "AttachmentRejected": "5.6.0",
}
_TOPIC_TEST = "Successfully validated SNS topic for Amazon SES event publishing."


class _Recipient(msgspec.Struct, rename="camel"):
    email_address: str
    status: str | None = None
    diagnostic_code: str | None = None


class _Detail(msgspec.Struct, rename="camel"):
    """The fields we use of ``bounce``, ``complaint``, ``delivery`` and their like; no name means two things."""

    timestamp: datetime | None = None
    bounce_type: str | None = None
    bounce_sub_type: str | None = None
    bounced_recipients: list[_Recipient] = []
    complained_recipients: list[_Recipient] = []
    delayed_recipients: list[_Recipient] = []
    recipients: list[str] = []
    complaint_feedback_type: str | None = None
    smtp_response: str | None = None
    reason: str | None = None
    error_message: str | None = None


class _Header(msgspec.Struct):
    name: str
    value: str


class _Mail(msgspec.Struct, rename="camel"):
    message_id: str | None = None
    timestamp: datetime | None = None
    destination: list[str] = []
    headers: list[_Header] = []

    def header(self, name: str) -> str | None:
        """The mail's own header."""
        return next((each.value for each in self.headers if each.name.lower() == name), None)


class _Event(msgspec.Struct, rename="camel"):
    event_type: str | None = None
    notification_type: str | None = None
    mail: _Mail = msgspec.field(default_factory=_Mail)
    bounce: _Detail | None = None
    complaint: _Detail | None = None
    delivery: _Detail | None = None
    delivery_delay: _Detail | None = None
    reject: _Detail | None = None
    failure: _Detail | None = None
    open: _Detail | None = None
    click: _Detail | None = None


_read = msgspec.json.Decoder(_Event).decode


class Ses:
    """Reads its requests.

    Args:
        topics: ARNs of the SNS topics that SES tells.
        fetch: what is at an https URL; raises OSError.
    """

    name = "ses"

    def __init__(self, topics: Collection[str], fetch: Fetch) -> None:
        self._sns = Sns(topics, fetch)

    @contextmanager
    def opened(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Iterator[Sequence[NotificationFeedback]]:
        """See Provider. A subscription to one of the topics is confirmed."""
        message = self._sns.opened(body, now)
        if message.type == "SubscriptionConfirmation":
            self._sns.confirm(message)
            log.info("Webhook ses: subscribed to %s", message.topic_arn)
        elif message.type == "UnsubscribeConfirmation":
            log.warning("Webhook ses: no longer subscribed to %s", message.topic_arn)
        yield _feedback(message) if message.type == "Notification" else []


def _feedback(message: Message) -> list[NotificationFeedback]:
    if message.message.strip() == _TOPIC_TEST:
        return []
    try:
        said = _read(message.message)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(f"SNS signed it, but it is no event of SES: {error}") from None
    kind = said.event_type or said.notification_type or ""
    detail = next((each for each in _details(said) if each is not None), _Detail())
    event = _EVENTS.get(kind, FeedbackEvent.UNKNOWN)
    if event is FeedbackEvent.COMPLAINED and detail.complaint_feedback_type == "not-spam":
        event = FeedbackEvent.UNKNOWN  # the recipient has taken it out of the spam folder
    found = [_report(message, said.mail, event, detail, each).feedback() for each in _recipients(said.mail, detail)]
    return [feedback for feedback in found if feedback is not None]


def _details(said: _Event) -> tuple[_Detail | None, ...]:
    """Only the object is there that the event is about."""
    return (
        said.bounce,
        said.complaint,
        said.delivery,
        said.delivery_delay,
        said.reject,
        said.failure,
        said.open,
        said.click,
    )


def _recipients(mail: _Mail, detail: _Detail) -> list[_Recipient]:
    """Whom it is about; of those it was sent to, if it does not say whom, the only one."""
    named = detail.bounced_recipients or detail.complained_recipients or detail.delayed_recipients
    addresses = detail.recipients or (mail.destination if len(mail.destination) == 1 else [""])
    return named or [_Recipient(address) for address in addresses]


def _report(message: Message, mail: _Mail, event: FeedbackEvent, detail: _Detail, to: _Recipient) -> Report:
    ours = mail.header("message-id")
    classified = " ".join(filter(None, (detail.bounce_type, detail.bounce_sub_type)))
    return Report(
        source=Ses.name,
        event=event,
        email=to.email_address,
        message_id=ours if notification_of(ours) else mail.message_id,
        notification_id=mail.header("x-notification-id"),
        at=detail.timestamp or mail.timestamp,
        bounce_type=_BOUNCE_TYPES.get(detail.bounce_type or "", BounceType.UNDETERMINED),
        status=to.status,
        words=to.diagnostic_code or detail.smtp_response or detail.reason or detail.error_message or classified,
        unsaid=_SUBTYPES.get(detail.bounce_sub_type or ""),
        event_id=message.message_id,
    )
