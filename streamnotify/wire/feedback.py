"""The records on ``notification-feedback``: what became of a mail after the relay took it (SPEC 2.3)."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.feedback import BounceType, FeedbackEvent
from streamnotify.errors import BadRecord
from streamnotify.wire.fields import Address, Instant, Name, OptionalId, Text
from streamnotify.wire.reading import read_json

_OURS = re.compile(r"<?[A-Za-z0-9_-]+\.([a-z2-7]{26})@[^@\s<>]+>?")  # as the renderer makes it


class NotificationFeedback(BaseModel):
    """One delivery event, in anymail's vocabulary. It names an address, a notification or a mail."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, title="notification-feedback")

    event: FeedbackEvent = Field(description="What happened.")
    notification_id: OptionalId | None = Field(default=None, description="The notification, if it is known.")
    message_id: Text | None = Field(
        default=None, description="The mail's Message-ID; one of ours also names its notification."
    )
    email: Address | None = Field(default=None, description="The address. Without one only the status is recorded.")
    at: Instant | None = Field(default=None, description="RFC 3339; default: the record's Kafka timestamp.")
    bounce_type: BounceType | None = Field(
        default=None, description="Of a bounce: hard (the default), soft or undetermined, which counts as soft."
    )
    status: Name | None = Field(default=None, description="RFC 3463 status code, such as 5.1.1.")
    detail: Text | None = Field(default=None, description="The words of whoever refused the mail.")
    organization_id: OptionalId | None = Field(
        default=None, description="Whose mails it concerns; without one: everybody's to this address."
    )
    event_id: OptionalId | None = Field(default=None, description="The event's identity.")
    source: Name | None = Field(default=None, description="Who reports it, such as dsn, ses or operator.")

    @property
    def notification(self) -> str | None:
        """The notification it is about, as far as the event or its Message-ID says."""
        return self.notification_id or notification_of(self.message_id)

    @property
    def key(self) -> str | None:
        """The record's key: the address, else the notification."""
        return self.email.lower() if self.email else self.notification


def parse(value: bytes | None) -> NotificationFeedback:
    """A record's value as a delivery event.

    Raises:
        BadRecord: if it is none, with the reason and the field.
    """
    feedback = read_json(NotificationFeedback, value, "a delivery event", one="event")
    if feedback.event is FeedbackEvent.READ and feedback.notification is None:
        raise BadRecord("of what was read notification_id, or a message_id of ours, is required", "notification_id")
    if not (feedback.email or feedback.notification_id or feedback.message_id):
        raise BadRecord("one of email, notification_id and message_id is required", "email")
    return feedback


def notification_of(message_id: str | None) -> str | None:
    """The notification that a Message-ID of ours names; None if it is somebody else's."""
    found = _OURS.fullmatch((message_id or "").strip())
    return found[1] if found else None
