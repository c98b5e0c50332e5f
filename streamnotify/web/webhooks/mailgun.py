"""Mailgun's webhooks: one event, signed with HMAC-SHA256 over a timestamp and a token.

The signature does not cover the event. So a token is taken once only: who has seen a request cannot send others with
its signature.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.web.webhooks.refusals import Refused, Replayed, Unreadable
from streamnotify.web.webhooks.reports import Report, instant
from streamnotify.wire.feedback import NotificationFeedback

OLDEST = timedelta(hours=9)  # it tries again for 7.5 hours
_AHEAD = timedelta(minutes=5)  # that its clock may be
_MOST_TOKENS = 200_000  # six mails a second; what is older than the newest of them counts as too old

_EVENTS = {
    "accepted": FeedbackEvent.QUEUED,
    "delivered": FeedbackEvent.DELIVERED,
    "failed": FeedbackEvent.BOUNCED,
    "rejected": FeedbackEvent.REJECTED,
    "complained": FeedbackEvent.COMPLAINED,
    "unsubscribed": FeedbackEvent.UNSUBSCRIBED,
    "opened": FeedbackEvent.OPENED,
    "clicked": FeedbackEvent.CLICKED,
}


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Request(msgspec.Struct, rename={"event": "event-data"}):
    signature: _Signature
    event: msgspec.Raw


class _Headers(msgspec.Struct, rename={"message_id": "message-id"}):
    message_id: str | None = None
    to: str | None = None


class _Message(msgspec.Struct):
    headers: _Headers = msgspec.field(default_factory=_Headers)


class _DeliveryStatus(msgspec.Struct, rename={"enhanced_code": "enhanced-code", "bounce_type": "bounce-type"}):
    enhanced_code: str | None = None
    bounce_type: str | None = None
    message: str | None = None
    description: str | None = None


class _Reject(msgspec.Struct):
    reason: str | None = None


class _Event(msgspec.Struct, rename={"delivery_status": "delivery-status"}):
    """The fields we use; the others are left alone."""

    event: str
    timestamp: float | str | None = None
    recipient: str | None = None
    severity: str | None = None
    reason: str | None = None
    message: _Message = msgspec.field(default_factory=_Message)
    delivery_status: _DeliveryStatus | None = None
    reject: _Reject | None = None


_read_request = msgspec.json.Decoder(_Request).decode
_read_event = msgspec.json.Decoder(_Event).decode


class Mailgun:
    """Reads its requests. ``key`` is its HTTP webhook signing key."""

    name = "mailgun"

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._tokens = _Tokens()

    @contextmanager
    def opened(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Iterator[Sequence[NotificationFeedback]]:
        """See Provider. A token whose events could not be kept may come again."""
        try:
            request = _read_request(body)
        except (msgspec.MsgspecError, RecursionError):
            raise Refused("it is not signed as Mailgun does") from None
        signed_at = self._check(request.signature, now)
        with self._tokens.taken(request.signature.token, signed_at, now):
            feedback = _feedback(request)
            yield [] if feedback is None else [feedback]

    def _check(self, signature: _Signature, now: datetime) -> datetime:
        signed = (signature.timestamp + signature.token).encode("utf-8", "surrogatepass")
        expected = hmac.new(self._key, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.signature.encode("utf-8", "surrogatepass")):
            raise Refused("its signature is wrong (STREAMNOTIFY_WEBHOOK_MAILGUN_KEY?)")
        at = instant(signature.timestamp)
        if at is None or not now - OLDEST <= at <= now + _AHEAD:
            raise Refused("it was signed too long ago, or in the future")
        return at


class _Tokens:
    """The tokens that were taken, as long as their signatures are good."""

    def __init__(self) -> None:
        self._taken: dict[str, datetime] = {}  # when each was signed, in the order they came
        self._forgotten: datetime | None = None  # the newest signature of a token that had to go before its time
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, token: str, signed_at: datetime, now: datetime) -> Iterator[None]:
        """Take a token for what is done within; if that fails, it was not taken."""
        with self._lock:
            if token in self._taken or (self._forgotten is not None and signed_at <= self._forgotten):
                raise Replayed("its token was taken before")
            self._taken[token] = signed_at
            self._forget(now)
        try:
            yield
        except BaseException:
            with self._lock:
                self._taken.pop(token, None)
            raise

    def _forget(self, now: datetime) -> None:
        while self._taken:
            token, signed_at = next(iter(self._taken.items()))
            if signed_at < now - OLDEST:
                del self._taken[token]
            elif len(self._taken) > _MOST_TOKENS:
                del self._taken[token]
                self._forgotten = max(signed_at, self._forgotten or signed_at)
            else:
                return


def _feedback(request: _Request) -> NotificationFeedback | None:
    try:
        said = _read_event(request.event)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(f"it is signed, but no event: {error}") from None
    delivery = said.delivery_status or _DeliveryStatus()
    event = _what_happened(said)
    return Report(
        source=Mailgun.name,
        event=event,
        email=said.recipient or (said.message.headers.to if event is FeedbackEvent.REJECTED else None),
        message_id=said.message.headers.message_id,
        at=instant(said.timestamp),
        bounce_type=_bounce_type(said, delivery),
        status=delivery.enhanced_code,
        words=delivery.message or delivery.description or (said.reject.reason if said.reject else None) or said.reason,
        unsaid="5.7.0" if said.reason == "espblock" else None,  # they refuse Mailgun or us, not the address
        event_id=request.signature.token,  # an event's own id is unique for a day only
    ).feedback()


def _what_happened(said: _Event) -> FeedbackEvent:
    event = _EVENTS.get(said.event, FeedbackEvent.UNKNOWN)
    if event is FeedbackEvent.BOUNCED and said.severity == "temporary":
        return FeedbackEvent.DEFERRED
    if event is FeedbackEvent.BOUNCED and (said.reason or "").startswith("suppress-"):
        return FeedbackEvent.REJECTED  # its own list: it did not try
    return event


def _bounce_type(said: _Event, delivery: _DeliveryStatus) -> BounceType:
    if delivery.bounce_type in ("hard", "soft"):
        return BounceType(delivery.bounce_type)
    return BounceType.HARD if said.reason == "bounce" else BounceType.SOFT
