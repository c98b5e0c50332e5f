"""A notification: the decision to tell somebody something."""

from __future__ import annotations

import base64
import enum
import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DIGEST = "notification_digest"  # the e-mail kind of a mail about several notifications


def notification_id(kind: str, *identity: str) -> str:
    """The stable name of a notification: base32(sha256(kind, identity...))[:26] (DESIGN section 9).

    Args:
        kind: the e-mail kind, such as ``task_completion``.
        identity: what the notification is about, such as task_name and task_id.
    """
    # A name may hold half a character, which has an id all the same.
    encoded = [part.encode("utf-8", "surrogatepass") for part in (kind, *identity)]
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
    # 26 characters are 130 bits of the digest: base64 goes through whole groups of five bytes.
    return base64.b32encode(hashlib.sha256(parts).digest()[:20])[:26].decode().lower()


class SuppressionReason(enum.StrEnum):
    """Why a notification is not sent (SPEC 2.4)."""

    NO_RECIPIENT = "no_recipient"
    PLACEHOLDER_ADDRESS = "placeholder_address"
    INVALID_ADDRESS = "invalid_address"
    UNVERIFIED = "unverified"
    INACTIVE = "inactive"
    OPTED_OUT_USER = "opted_out_user"
    OPTED_OUT_ORGANIZATION = "opted_out_organization"
    OPTED_OUT_KIND = "opted_out_kind"
    ORGANIZATION_OFF = "organization_off"
    CROSS_ORGANIZATION = "cross_organization"
    STALE = "stale"
    NOT_IN_ON = "not_in_on"
    SUPPRESSED_ADDRESS = "suppressed_address"
    SMTP_NOT_CONFIGURED = "smtp_not_configured"
    SILENCED = "silenced"
    READ = "read"


@dataclass(frozen=True, slots=True)
class TaskNotification:
    """How one run ended, for the person who started it (SPEC section 4).

    ``status`` is success, failed or cancelled. ``duration_s`` is in seconds. ``variables`` are the result's keys that
    templates may use. ``email`` and ``name`` come from ``notify``; ``user_id`` names somebody in the directory.
    ``mailbox`` and ``timezone`` are the recipient's, set once the mailbox has taken it; it sets the others then, too.
    """

    notification_id: str
    kind: str
    task_name: str
    task_id: str
    status: str
    completed_at: datetime
    template: str | None = None
    subject_template: str | None = None
    display_name: str | None = None
    duration_s: float | None = None
    error_message: str | None = None
    organization_id: str | None = None
    user_id: str | None = None
    email: str | None = None
    name: str | None = None
    urgent: bool = False
    variables: dict[str, Any] = field(default_factory=dict)
    mailbox: str | None = None
    timezone: str | None = None


def is_placeholder(email: str, domains: Collection[str]) -> bool:
    """Whether an address is at one of the placeholder ``domains`` or below it: nobody reads it (SPEC section 4)."""
    domain = email.rpartition("@")[2].lower().rstrip(".")
    return any(domain == placeholder or domain.endswith("." + placeholder) for placeholder in map(str.lower, domains))
