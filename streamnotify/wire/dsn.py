"""Delivery status notifications (RFC 3464), the mails in which mail servers report what became of a mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, message_from_string
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.errors import StreamnotifyError
from streamnotify.wire.feedback import NotificationFeedback, notification_of
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.reported import reported_address, reported_status, reported_text

MAX_BYTES = 2 * 1024 * 1024
MOST_RECIPIENTS = 1000
SOURCE = "dsn"

_EVENTS = {
    "failed": FeedbackEvent.BOUNCED,
    "delayed": FeedbackEvent.DEFERRED,
    "delivered": FeedbackEvent.DELIVERED,
    "relayed": FeedbackEvent.SENT,
    "expanded": FeedbackEvent.SENT,
}
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


class NoDeliveryStatus(StreamnotifyError):
    """The mail is no delivery status notification that could be used."""


def feedback_of(mail: bytes) -> list[NotificationFeedback]:
    """What a delivery status notification says about each recipient it is about.

    Args:
        mail: the whole mail as it was received.

    Raises:
        NoDeliveryStatus: saying why, whatever the bytes are.
    """
    if len(mail) > MAX_BYTES:
        raise NoDeliveryStatus(f"the mail has {len(mail)} bytes; at most {MAX_BYTES} are allowed")
    try:
        # As text, so that addresses in UTF-8 (RFC 6533) stay what they are.
        found = list(_feedback(message_from_string(mail.decode("utf-8", "surrogateescape"))))
    except NoDeliveryStatus:
        raise
    except Exception as error:  # the email package raises almost anything on hostile input
        raise NoDeliveryStatus(f"the mail cannot be parsed: {type(error).__name__}") from error
    if not found:
        raise NoDeliveryStatus("none of the recipients it reports can be told apart")
    return found


def _feedback(mail: Message) -> Iterator[NotificationFeedback]:
    blocks = _status_blocks(mail)
    original = _original_headers(mail)
    message_id = reported_text(original["Message-ID"]) if original is not None else None
    notification_id = reported_text(original["X-Notification-ID"]) if original is not None else None
    reported_at = _instant(mail["Date"])
    for block in [block for block in blocks if "Action" in block][:MOST_RECIPIENTS]:
        feedback = _of_recipient(block, message_id, (notification_id or "")[:NAME_LENGTH] or None, reported_at)
        if feedback is not None:
            yield feedback


def _status_blocks(mail: Message) -> list[Message]:
    """The groups of fields: one about the mail, then one for each recipient."""
    parts = [part for part in mail.walk() if part.get_content_type() == "message/delivery-status"]
    if not parts:
        raise NoDeliveryStatus("it has no part of type message/delivery-status, so it is no report of a mail server")
    payload: Any = parts[0].get_payload()
    blocks = [block for block in payload if isinstance(block, Message)] if isinstance(payload, list) else []
    if not any("Action" in block for block in blocks):
        raise NoDeliveryStatus("its delivery status names no recipient's Action")
    return blocks


def _original_headers(mail: Message) -> Message | None:
    """The headers of the mail that is reported about, if they came back."""
    for part in mail.walk():
        kind = part.get_content_type()
        payload: Any = part.get_payload()
        if kind in ("message/rfc822", "message/global") and isinstance(payload, list) and payload:
            returned: Message = payload[0]
            return returned
        if kind in ("text/rfc822-headers", "message/global-headers"):
            content: Any = part.get_payload(decode=True)
            if isinstance(payload, list) and payload:
                content = payload[0].as_bytes()
            return message_from_bytes(content) if isinstance(content, bytes) else None
    return None


def _of_recipient(
    block: Message, message_id: str | None, notification_id: str | None, reported_at: datetime | None
) -> NotificationFeedback | None:
    event = _EVENTS.get((reported_text(block["Action"]) or "").split(" ")[0].lower(), FeedbackEvent.UNKNOWN)
    diagnostic = _after_type(block["Diagnostic-Code"])
    email = _address(block["Original-Recipient"]) or _address(block["Final-Recipient"])
    if email is None and notification_id is None and notification_of(message_id) is None:
        return None
    status = reported_status(reported_text(block["Status"]), diagnostic)
    return NotificationFeedback(
        event=event,
        notification_id=notification_id,
        message_id=message_id,
        email=email,
        at=_instant(block["Last-Attempt-Date"]) or reported_at,
        bounce_type=_bounce_type(status) if event is FeedbackEvent.BOUNCED else None,
        status=status,
        detail=diagnostic or reported_text(block["Status"]),
        source=SOURCE,
    )


def _bounce_type(status: str | None) -> BounceType:
    """A server that gives up after trying for days reports a 4.x.x code."""
    if status is None:
        return BounceType.UNDETERMINED
    return BounceType.SOFT if status.startswith("4") else BounceType.HARD


def _address(field: Any) -> str | None:
    """The address in an Original-Recipient or Final-Recipient field; None if it is of no use."""
    kind, _, rest = (reported_text(field) or "").partition(";")
    if kind.strip().lower() not in ("rfc822", "utf-8"):
        return None
    return reported_address(_XTEXT.sub(lambda code: chr(int(code[1], 16)), rest))


def _after_type(field: Any) -> str | None:
    """``smtp; 550 5.1.1 ...`` without the type in front."""
    text = reported_text(field)
    kind, separator, rest = (text or "").partition(";")
    return (rest.strip() if separator and " " not in kind.strip() else text) or None


def _instant(field: Any) -> datetime | None:
    try:
        at = parsedate_to_datetime(reported_text(field) or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
