"""The records on ``notification-status``: each step of each notification (SPEC 2.4)."""

from __future__ import annotations

import enum
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.notifications import SuppressionReason


class NotificationStep(enum.StrEnum):
    """What has just happened to a notification."""

    ACCEPTED = "accepted"  # somebody is to be told
    HELD = "held"  # waits for the directory to catch up
    BATCHED = "batched"  # waits for its digest
    SUPPRESSED = "suppressed"  # will not be sent; the reason says why
    QUEUED = "queued"  # rendered, in the outbox
    SENT = "sent"  # the relay took it
    DEFERRED = "deferred"  # not yet; tried again at next_at
    FAILED = "failed"  # refused for good
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    EXPIRED = "expired"  # could not be delivered in time


class NotificationStatus(BaseModel):
    """One step of one notification. Absent fields are left out of the record."""

    model_config = ConfigDict(title="notification-status")

    notification_id: str = Field(description="The notification's stable name.")
    status: NotificationStep
    reason: SuppressionReason | str | None = Field(
        default=None, description="suppressed: one of the named reasons; else a short word such as tls_unavailable."
    )
    kind: str | None = Field(default=None, description="The e-mail kind, such as task_completion.")
    task_name: str | None = None
    task_id: str | None = None
    monitor: str | None = None
    to: str | None = Field(default=None, description="The address, once it is known.")
    user_id: str | None = None
    organization_id: str | None = None
    digest_id: str | None = Field(default=None, description="The digest it waits for, or is.")
    count: int | None = Field(default=None, description="Of a digest: how many notifications this is about.")
    subject: str | None = None
    message_id: str | None = None
    attempt: int | None = None
    smtp_stage: str | None = Field(default=None, description="connect, tls, auth, mail, rcpt, data or dot.")
    smtp_code: int | None = None
    next_at: datetime | None = Field(default=None, description="When it is tried or flushed next.")
    at: datetime = Field(description="When this happened, by the broker's clock.")
