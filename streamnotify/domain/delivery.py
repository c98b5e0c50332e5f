"""The delivery of one mail: what is sent, what came of an attempt, and when to try again."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY
from streamnotify.domain.pending import PendingDigest


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """A mail in its final bytes, as it lies in the outbox. ``to`` is one address; ``sender`` the envelope's.

    ``mailbox`` is whose mail it is, in whose name preferences are asked once more before it goes; ``digest`` is what it
    is made of, if it is a digest.
    """

    notification_id: str
    kind: str
    to: str
    sender: str
    message_id: str
    subject: str
    content: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime
    urgent: bool = False
    task_name: str | None = None
    task_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    monitor: str | None = None
    mailbox: str | None = None
    digest: PendingDigest | None = None


class Priority(enum.IntEnum):
    """Which mail goes first when the relay cannot take all at once (research/email.md item 36)."""

    URGENT = 0
    ALERT = 1
    NORMAL = 2
    DIGEST = 3


_PRIORITIES = {
    ALERT: Priority.ALERT,
    RECOVERY: Priority.ALERT,
    HEALTH: Priority.ALERT,
    "notification_digest": Priority.DIGEST,
}


def priority_of(mail: OutgoingMail) -> Priority:
    """The mail's place in the queue: by its ``urgent`` mark, then by its e-mail kind."""
    return Priority.URGENT if mail.urgent else _PRIORITIES.get(mail.kind, Priority.NORMAL)


class Outcome(enum.StrEnum):
    """What an attempt came to, by what is done about it (research/email.md item 31)."""

    SENT = "sent"  # the relay accepted it
    TRANSIENT = "transient"  # not now; tried again
    MAILBOX_FULL = "mailbox_full"  # tried again, but not soon
    RATE = "rate"  # we are too fast for the relay; tried again within seconds, and everything slower
    QUOTA = "quota"  # the relay takes no more of anything from us for a while
    UNREACHABLE = "unreachable"  # the relay takes no session just now
    TLS_POLICY = "tls_policy"  # the relay cannot be spoken to as safely as the settings ask for
    SENDER_CONFIG = "sender_config"  # the relay does not know or trust us: password, sender address
    HELD = "held"  # nothing was tried, for one of the four above is known to last
    AMBIGUOUS = "ambiguous"  # the relay may have it: the connection broke after the final dot
    PERMANENT_RECIPIENT = "permanent_recipient"  # there is no such mailbox
    PERMANENT_MESSAGE = "permanent_message"  # this mail is refused for good, which says nothing against its recipient

    @property
    def is_outage(self) -> bool:
        """True if it concerns every mail and says nothing against this one."""
        return self in _OUTAGES


_OUTAGES = frozenset({Outcome.QUOTA, Outcome.UNREACHABLE, Outcome.TLS_POLICY, Outcome.SENDER_CONFIG})


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """How attempt ``attempt`` of a delivery ended, with the stage and the relay's code as far as it answered.

    ``stage`` is one of connect, tls, auth, mail, rcpt, data, dot. ``reason`` is a short word such as
    ``tls_unavailable``; ``text`` the relay's words or the error, control characters removed, at most 500 characters.
    ``enhanced`` is the status code of RFC 3463 such as ``5.1.1``; ``queue_id`` the relay's own name for a mail it has
    accepted; ``retry_in`` how long it asks us to wait.
    """

    notification_id: str
    attempt: int
    outcome: Outcome
    stage: str | None = None
    code: int | None = None
    reason: str | None = None
    text: str | None = None
    enhanced: str | None = None
    queue_id: str | None = None
    retry_in: timedelta | None = None

    @property
    def words(self) -> str:
        """Reason, code and the relay's words, as far as there are any."""
        parts = (self.reason, None if self.code is None else str(self.code), self.text)
        return " ".join(part for part in parts if part)


class DeliveryState(enum.StrEnum):
    """Where the delivery of one mail stands."""

    ATTEMPTING = "attempting"  # an attempt is open; its result will come
    DEFERRED = "deferred"  # waiting for its next attempt
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"  # too old, or a later mail says the opposite
    SUPPRESSED = "suppressed"  # its address has come to get no mail, or it is not wanted any more

    @property
    def is_final(self) -> bool:
        """True if nothing more will be tried."""
        return self not in (DeliveryState.ATTEMPTING, DeliveryState.DEFERRED)


SUPERSEDED = "superseded"  # the reason, on notification-status, of what expired since a later mail says the opposite

# What an attempt's outcome makes of the delivery. An ambiguous one is tried again: never lost goes before exactly
# once, and the repeated mail has the same bytes and Message-ID (SPEC section 7).
AFTER_ATTEMPT = {
    Outcome.SENT: DeliveryState.SENT,
    Outcome.TRANSIENT: DeliveryState.DEFERRED,
    Outcome.MAILBOX_FULL: DeliveryState.DEFERRED,
    Outcome.RATE: DeliveryState.DEFERRED,
    Outcome.QUOTA: DeliveryState.DEFERRED,
    Outcome.UNREACHABLE: DeliveryState.DEFERRED,
    Outcome.TLS_POLICY: DeliveryState.DEFERRED,
    Outcome.SENDER_CONFIG: DeliveryState.DEFERRED,
    Outcome.HELD: DeliveryState.DEFERRED,
    Outcome.AMBIGUOUS: DeliveryState.DEFERRED,
    Outcome.PERMANENT_RECIPIENT: DeliveryState.FAILED,
    Outcome.PERMANENT_MESSAGE: DeliveryState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Wait:
    """The longest wait after a mail's first attempt; each further attempt doubles it, up to ``most``."""

    first: timedelta
    most: timedelta


_MINUTE = timedelta(minutes=1)
# During an outage the sender holds mails back itself, so they come to it soon and stay ready for the relay's return.
_OUTAGE_WAIT = Wait(timedelta(seconds=75), timedelta(seconds=75))
WAITS = {
    Outcome.MAILBOX_FULL: Wait(15 * _MINUTE, 240 * _MINUTE),
    Outcome.RATE: Wait(timedelta(seconds=5), 10 * _MINUTE),
    Outcome.QUOTA: _OUTAGE_WAIT,
    Outcome.UNREACHABLE: _OUTAGE_WAIT,
    Outcome.TLS_POLICY: _OUTAGE_WAIT,
    Outcome.HELD: _OUTAGE_WAIT,
}


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How long and how often to try (research/email.md items 35 and 42).

    ``wait`` is for outcomes without one in :data:`WAITS`. A wait is shortened by up to ``spread`` of itself, so that
    mails deferred together do not come back together: about 60 s, 2 min, 4 min ... 48 min. ``keep_for`` is how long a
    finished delivery's ledger row deduplicates. ``hold_kinds`` are the e-mail kinds of which a duplicate annoys more
    than a delay: after an ambiguous attempt they wait ``hold_for``.
    """

    wait: Wait = Wait(timedelta(seconds=75), 60 * _MINUTE)
    spread: float = 0.4
    keep_for: timedelta = timedelta(days=30)
    hold_kinds: frozenset[str] = frozenset({"notification_digest"})
    hold_for: timedelta = 15 * _MINUTE


@dataclass(frozen=True, slots=True)
class Delivery:
    """The ledger of one mail: its state, the number of its latest attempt and, if deferred, when the next is due.

    ``may_have_arrived``: an attempt was ambiguous, so that the relay may have the mail.
    """

    state: DeliveryState
    attempt: int = 0
    next_at: datetime | None = None
    may_have_arrived: bool = False

    @property
    def is_first(self) -> bool:
        """True if the mail has just come in: its first attempt is to begin."""
        return self.state is DeliveryState.ATTEMPTING and self.attempt == 1


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
    may_have_arrived = delivery.may_have_arrived or result.outcome is Outcome.AMBIGUOUS
    ended = Delivery(state, delivery.attempt, may_have_arrived=may_have_arrived)
    if state is not DeliveryState.DEFERRED:
        return ended
    if now >= mail.expires_at:
        return replace(ended, state=DeliveryState.EXPIRED)
    return replace(ended, next_at=min(now + retry_after(result, mail.kind, policy), mail.expires_at))


def retry(delivery: Delivery, mail: OutgoingMail, now: datetime) -> Delivery | None:
    """The delivery when its wait is over, or None if it was not waiting."""
    if delivery.state is not DeliveryState.DEFERRED:
        return None
    return _attempt_or_expire(delivery, mail, now)


def give_up(delivery: Delivery, state: DeliveryState) -> Delivery:
    """The delivery of a mail that must not go any more, in its last ``state``; an attempt that was to begin has not."""
    begun = delivery.attempt - (delivery.state is DeliveryState.ATTEMPTING)
    return replace(delivery, state=state, attempt=begun, next_at=None)


def retry_after(result: AttemptResult, kind: str, policy: DeliveryPolicy) -> timedelta:
    """How long a mail of e-mail kind ``kind`` waits after ``result``.

    As long as the relay asks for; else exponential, spread by a hash instead of a random number, so that handling the
    same records again gives the same rows (DESIGN 3.3).
    """
    if result.retry_in is not None:
        return result.retry_in
    if result.outcome is Outcome.AMBIGUOUS and kind in policy.hold_kinds:
        return policy.hold_for
    wait = WAITS.get(result.outcome, policy.wait)
    longest = min(wait.first * (1 << min(result.attempt - 1, 32)), wait.most)
    digest = hashlib.sha256(f"{result.notification_id}:{result.attempt}".encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return longest * (1 - policy.spread * share)


def _attempt_or_expire(delivery: Delivery, mail: OutgoingMail, now: datetime) -> Delivery:
    if now >= mail.expires_at:
        return replace(delivery, state=DeliveryState.EXPIRED, next_at=None)
    return replace(delivery, state=DeliveryState.ATTEMPTING, attempt=delivery.attempt + 1, next_at=None)
