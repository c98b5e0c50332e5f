"""What a delivery event says about the address it is about (research/email.md items 32, 46 and 47)."""

from __future__ import annotations

import enum
import re


class FeedbackEvent(enum.StrEnum):
    """What became of a mail: anymail's vocabulary, ``read``, and the operator's two."""

    QUEUED = "queued"
    SENT = "sent"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    REJECTED = "rejected"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    FAILED = "failed"
    OPENED = "opened"
    CLICKED = "clicked"
    READ = "read"
    AUTORESPONDED = "autoresponded"
    SUBSCRIBED = "subscribed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"  # an operator: no mail to this address
    UNSUPPRESSED = "unsuppressed"  # an operator: whatever was held against it until now is forgotten


class BounceType(enum.StrEnum):
    """Whether the address itself is to blame, and for good."""

    HARD = "hard"
    SOFT = "soft"
    UNDETERMINED = "undetermined"


class Sign(enum.StrEnum):
    """What an event is evidence of."""

    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    OPERATOR = "operator"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    DELIVERED = "delivered"
    LIFTED = "lifted"


class Blame(enum.IntEnum):
    """How much a refusal says against the address."""

    NONE = 0  # the sender, the relay's quota, its policy or the content is to blame
    SOFT = 1
    HARD = 2


# RFC 3463 status codes; of those that fit the longest decides. x.0 says nothing, x.7 is about policy and encryption.
_BLAME = {
    "5.1": Blame.HARD,
    "5.1.7": Blame.NONE,  # the sender's address
    "5.1.8": Blame.NONE,
    "5.1.9": Blame.NONE,
    "5.2": Blame.SOFT,  # 5.2.2: mailbox full
    "5.2.1": Blame.HARD,  # mailbox disabled
    "5.2.3": Blame.NONE,  # this mail is too long for it
    "5.3": Blame.SOFT,
    "5.3.4": Blame.NONE,  # too big for the system
    "5.4": Blame.SOFT,
    "5.4.5": Blame.NONE,  # Gmail: daily sending limit
    "5.5": Blame.NONE,
    "5.6": Blame.NONE,
    "5.7": Blame.NONE,
    "4": Blame.SOFT,
    "4.5": Blame.NONE,
    "4.6": Blame.NONE,
    "4.7": Blame.NONE,
}
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)", re.ASCII)
_OF_TYPE = {BounceType.HARD: Blame.HARD, BounceType.SOFT: Blame.SOFT, BounceType.UNDETERMINED: Blame.SOFT}
_BOUNCE_SIGNS = {Blame.NONE: None, Blame.SOFT: Sign.SOFT_BOUNCE, Blame.HARD: Sign.HARD_BOUNCE}
_SIGNS = {
    FeedbackEvent.COMPLAINED: Sign.COMPLAINT,
    FeedbackEvent.UNSUBSCRIBED: Sign.UNSUBSCRIBED,
    FeedbackEvent.SUPPRESSED: Sign.OPERATOR,
    FeedbackEvent.UNSUPPRESSED: Sign.LIFTED,
    # Only arrival proves the mailbox. The relay's acceptance does not: bounces come after it.
    FeedbackEvent.DELIVERED: Sign.DELIVERED,
    FeedbackEvent.OPENED: Sign.DELIVERED,
    FeedbackEvent.CLICKED: Sign.DELIVERED,
}


def enhanced_status(text: str | None) -> str | None:
    """The first RFC 3463 status code in ``text``, such as ``5.1.1``; None if there is none."""
    found = _STATUS.search(text or "")
    return ".".join(found.groups()) if found else None


def blame(status: str | None) -> Blame | None:
    """How much a status code says against the address; None if it says nothing either way."""
    parts = (status or "").split(".")
    fitting = (".".join(parts[:length]) for length in (3, 2, 1))
    if parts[1:2] == ["0"]:
        return Blame.SOFT if parts[0] == "4" else None
    return next((_BLAME[prefix] for prefix in fitting if prefix in _BLAME), None)


def sign_of(event: FeedbackEvent, bounce_type: BounceType | None = None, status: str | None = None) -> Sign | None:
    """What an event is evidence of; None if it says nothing about the address.

    Of what the type and the status code of a bounce say, the milder counts: errors of the sender's configuration,
    quotas, encryption and policy never tell against an address. A bounce without either is a hard one, as in anymail.

    Args:
        event: what became of the mail.
        bounce_type: of a bounce, if it is known.
        status: RFC 3463 code of a bounce or deferral, if it is known.
    """
    if event is FeedbackEvent.BOUNCED:
        worst = _OF_TYPE[bounce_type or BounceType.HARD]
    elif event is FeedbackEvent.DEFERRED:
        worst = Blame.SOFT
    else:
        return _SIGNS.get(event)
    said = blame(status)
    return _BOUNCE_SIGNS[worst if said is None else min(worst, said)]
