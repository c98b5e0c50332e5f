"""The delivery of one mail: what is sent, what came of an attempt, and when to try again."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail in its final bytes, as it lies in the outbox. ``to`` is one address; ``sender`` the envelope's."""

    notification_id: str
    kind: str
    to: str
    sender: str
    message_id: str
    subject: str
    content: bytes
    created_at: datetime
    expires_at: datetime
    urgent: bool = False
    task_name: str | None = None
    task_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None


class Outcome(enum.StrEnum):
    """What an attempt came to, by what is done about it."""

    SENT = "sent"  # the relay accepted it
    DEFERRED = "deferred"  # nothing was accepted; try again later
    FAILED = "failed"  # the relay refused it for good
    AMBIGUOUS = "ambiguous"  # the relay may have it: the connection broke after the final dot


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How attempt ``attempt`` of a delivery ended, with the stage and the relay's code as far as it answered.

    ``stage`` is one of connect, tls, auth, mail, rcpt, data, dot. ``reason`` is a short word such as
    ``tls_unavailable``; ``text`` the relay's words or the error, control characters removed, at most 500 characters.
    """

    notification_id: str
    attempt: int
    outcome: Outcome
    stage: str | None = None
    code: int | None = None
    reason: str | None = None
    text: str | None = None


class DeliveryState(enum.StrEnum):
    """Where the delivery of one mail stands."""

    ATTEMPTING = "attempting"  # an attempt is open; its result will come
    DEFERRED = "deferred"  # waiting for its next attempt
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """True if nothing more will be tried."""
        return self not in (DeliveryState.ATTEMPTING, DeliveryState.DEFERRED)


# What an attempt's outcome makes of the delivery. An ambiguous one is tried again: never lost goes before exactly
# once, and the repeated mail has the same bytes and Message-ID (SPEC section 7).
AFTER_ATTEMPT = {
    Outcome.SENT: DeliveryState.SENT,
    Outcome.FAILED: DeliveryState.FAILED,
    Outcome.DEFERRED: DeliveryState.DEFERRED,
    Outcome.AMBIGUOUS: DeliveryState.DEFERRED,
}


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How long and how often to try (research/email.md item 35).

    ``first_delay`` is the longest wait after the first attempt; each further one doubles it up to ``max_delay``. A
    wait is shortened by up to ``spread`` of itself, so that mails deferred together do not come back together: about
    60 s, 2 min, 4 min ... 48 min. ``keep_for`` is how long a finished delivery's ledger row deduplicates.
    """

    first_delay: timedelta = timedelta(seconds=75)
    max_delay: timedelta = timedelta(minutes=60)
    spread: float = 0.4
    keep_for: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The ledger of one mail: its state, the number of its latest attempt and, if deferred, when the next is due."""

    state: DeliveryState
    attempt: int = 0
    next_at: datetime | None = None


def begin(mail: OutgoingMail, now: datetime) -> Delivery:
    """The delivery of a mail that has just come in: its first attempt, or expired if it comes too late."""
    return _attempt_or_expire(Delivery(DeliveryState.DEFERRED), mail, now)


def resolve(
    delivery: Delivery, result: AttemptResult, mail: OutgoingMail, now: datetime, policy: DeliveryPolicy
) -> Delivery | None:
    """The delivery after an attempt's result, or None if the result is stale: of an attempt that is not open."""
    if delivery.state is not DeliveryState.ATTEMPTING or result.attempt != delivery.attempt:
        return None
    state = AFTER_ATTEMPT[result.outcome]
    if state is not DeliveryState.DEFERRED:
        return Delivery(state, delivery.attempt)
    if now >= mail.expires_at:
        return Delivery(DeliveryState.EXPIRED, delivery.attempt)
    next_at = min(now + retry_after(mail.notification_id, delivery.attempt, policy), mail.expires_at)
    return Delivery(DeliveryState.DEFERRED, delivery.attempt, next_at)


def retry(delivery: Delivery, mail: OutgoingMail, now: datetime) -> Delivery | None:
    """The delivery when its wait is over, or None if it was not waiting."""
    if delivery.state is not DeliveryState.DEFERRED:
        return None
    return _attempt_or_expire(delivery, mail, now)


def retry_after(notification_id: str, attempt: int, policy: DeliveryPolicy) -> timedelta:
    """How long to wait after attempt ``attempt`` (from 1): exponential, spread by a hash instead of a random number,
    so that handling the same records again gives the same rows (DESIGN 3.3)."""
    doublings = min(attempt - 1, 32)
    longest = min(policy.first_delay * (1 << doublings), policy.max_delay)
    digest = hashlib.sha256(f"{notification_id}:{attempt}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return longest * (1 - policy.spread * share)


def _attempt_or_expire(delivery: Delivery, mail: OutgoingMail, now: datetime) -> Delivery:
    if now >= mail.expires_at:
        return Delivery(DeliveryState.EXPIRED, delivery.attempt)
    return Delivery(DeliveryState.ATTEMPTING, delivery.attempt + 1)
