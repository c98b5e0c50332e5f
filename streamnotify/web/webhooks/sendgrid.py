"""SendGrid's Signed Event Webhook: arrays of events, signed with ECDSA over a timestamp and the raw body."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.web.webhooks.refusals import Refused, Unreadable
from streamnotify.web.webhooks.reports import Report, instant
from streamnotify.wire.feedback import NotificationFeedback

log = logging.getLogger(__name__)

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
OLDEST = timedelta(hours=25)  # it tries again for 24 hours
_AHEAD = timedelta(minutes=5)  # that its clock may be

_EVENTS = {
    "processed": FeedbackEvent.QUEUED,
    "deferred": FeedbackEvent.DEFERRED,
    "delivered": FeedbackEvent.DELIVERED,
    "bounce": FeedbackEvent.BOUNCED,
    "dropped": FeedbackEvent.REJECTED,
    "spamreport": FeedbackEvent.COMPLAINED,
    "unsubscribe": FeedbackEvent.UNSUBSCRIBED,
    "group_unsubscribe": FeedbackEvent.UNSUBSCRIBED,
    "group_resubscribe": FeedbackEvent.SUBSCRIBED,
    "open": FeedbackEvent.OPENED,
    "click": FeedbackEvent.CLICKED,
}
_BLAMELESS = ("content", "reputation", "frequency")  # how the classes begin that are not about the address


class _Event(msgspec.Struct, rename={"message_id": "smtp-id", "event_id": "sg_event_id"}):
    """The fields we use; the others are left alone."""

    event: str
    email: str | None = None
    timestamp: float | str | None = None
    message_id: str | None = None
    event_id: str | None = None
    type: str | None = None
    status: str | None = None
    reason: str | None = None
    response: str | None = None
    bounce_classification: str | None = None


_read_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_event = msgspec.json.Decoder(_Event).decode


class SendGrid:
    """Reads its requests. ``key`` is its verification key."""

    name = "sendgrid"

    def __init__(self, key: EllipticCurvePublicKey) -> None:
        self._key = key

    @contextmanager
    def opened(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Iterator[Sequence[NotificationFeedback]]:
        """See Provider."""
        self._check(headers, body, now)
        try:
            events = _read_array(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Unreadable(f"it is signed, but no array of events: {error}") from None
        yield [feedback for event in events if (feedback := _feedback(event)) is not None]

    def _check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        signature, timestamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
        if not signature or not timestamp:
            raise Refused("it is not signed (is Signed Event Webhook switched on?)")
        try:
            signed = timestamp.encode("latin-1") + body
            self._key.verify(base64.b64decode(signature, validate=True), signed, ECDSA(hashes.SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            raise Refused("its signature is wrong (STREAMNOTIFY_WEBHOOK_SENDGRID_KEY?)") from None
        at = instant(timestamp)
        if at is None or not now - OLDEST <= at <= now + _AHEAD:
            raise Refused("it was signed too long ago, or in the future")


def _feedback(raw: msgspec.Raw) -> NotificationFeedback | None:
    try:
        said = _read_event(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        log.warning("Webhook sendgrid: an event is left out, %s", error)
        return None
    event = _EVENTS.get(said.event, FeedbackEvent.UNKNOWN)
    return Report(
        source=SendGrid.name,
        event=event,
        email=said.email,
        message_id=said.message_id,
        at=instant(said.timestamp),
        # A block is a refusal for the time being: of this mail, of us, or of so many.
        bounce_type=BounceType.SOFT if said.type == "blocked" else BounceType.HARD,
        status=said.status,
        words=said.reason or said.response,
        unsaid="5.7.0" if (said.bounce_classification or "").lower().startswith(_BLAMELESS) else None,
        event_id=said.event_id,
    ).feedback()
