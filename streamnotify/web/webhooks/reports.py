"""One provider's report about one recipient, in whatever words, as a delivery event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.reported import reported_address, reported_status, reported_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a provider says happened, as far as it says it.

    Args:
        source: the provider.
        event: what happened.
        email: to whose mail; with or without a name.
        message_id, notification_id: of the mail's headers Message-ID and X-Notification-ID.
        at: when.
        bounce_type: of a bounce.
        status: RFC 3463 status code; one that says nothing makes room for the one in ``words``, then for ``unsaid``.
        words: of whoever refused the mail.
        unsaid: the status code that the provider's own classification amounts to.
        event_id: the same when the provider sends the report once more.
    """

    source: str
    event: FeedbackEvent
    email: str | None = None
    message_id: str | None = None
    notification_id: str | None = None
    at: datetime | None = None
    bounce_type: BounceType | None = None
    status: str | None = None
    words: str | None = None
    unsaid: str | None = None
    event_id: str | None = None

    def feedback(self) -> NotificationFeedback | None:
        """It as a delivery event; None if it is about nobody and nothing that could be told apart."""
        email = reported_address(self.email) or reported_address(parseaddr(self.email or "")[1])
        message_id, notification_id = reported_text(self.message_id), reported_text(self.notification_id)
        if email is None and message_id is None and notification_id is None:
            return None
        status = reported_status(self.status, self.words)
        if self.unsaid and (status is None or status.endswith(".0.0")):
            status = self.unsaid
        return NotificationFeedback(
            event=self.event,
            email=email,
            message_id=message_id,
            notification_id=(notification_id or "")[:NAME_LENGTH] or None,
            at=self.at,
            bounce_type=self.bounce_type if self.event is FeedbackEvent.BOUNCED else None,
            status=status,
            detail=reported_text(self.words),
            event_id=(reported_text(self.event_id) or "")[:NAME_LENGTH] or None,
            source=self.source,
        )


def instant(seconds: float | str | None) -> datetime | None:
    """Seconds since 1970 as an instant; None if they are none."""
    try:
        return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None
