"""What a fault means for the mail: the decision table of research/email.md item 32, as data.

The first rule that fits decides. docs/delivery.md shows the same table for people.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.replies import retry_hint, visible

_ANY_STAGE = frozenset(Stage)
_SETTING_UP = frozenset({Stage.CONNECT, Stage.TLS, Stage.AUTH})
_CONTENT = frozenset({Stage.DATA, Stage.DOT})
_ABOUT_RECIPIENT = frozenset({Stage.RCPT, Stage.DATA, Stage.DOT})
_REPLY = frozenset({FaultKind.REPLY})
_NO_REPLY = frozenset(FaultKind) - _REPLY
_NO_LINE = frozenset({FaultKind.DISCONNECTED, FaultKind.TIMEOUT})
_4XX = range(400, 500)
_5XX = range(500, 600)
_4XX_5XX = range(400, 600)


@dataclass(frozen=True, slots=True)
class Rule:
    """If everything that is given fits: this outcome, for this reason.

    Args:
        outcome: what is done about the mail.
        reason: the word shown in ``notification-status``.
        stages: where it happened.
        kinds: what happened.
        codes: the reply's basic code; a fault without reply fits only where none are given.
        enhanced: the reply's code of RFC 3463 is one of these, or begins with one that ends in a dot.
        text: a regular expression found in the reply's words, in any letter case.
    """

    outcome: Outcome
    reason: str
    stages: Set[Stage] = _ANY_STAGE
    kinds: Set[FaultKind] = _REPLY
    codes: range | None = None
    enhanced: tuple[str, ...] = ()
    text: str | None = None

    def fits(self, fault: SmtpFault) -> bool:
        """True if this rule decides about ``fault``."""
        return (
            fault.stage in self.stages
            and fault.kind in self.kinds
            and (self.codes is None or fault.code in self.codes)
            and (not self.enhanced or _is_one_of(fault.enhanced, self.enhanced))
            and (self.text is None or re.search(self.text, fault.text, re.IGNORECASE) is not None)
        )


def _is_one_of(enhanced: str | None, wanted: tuple[str, ...]) -> bool:
    return enhanced is not None and any(
        enhanced.startswith(each) if each.endswith(".") else enhanced == each for each in wanted
    )


def _only(code: int) -> range:
    return range(code, code + 1)


RULES = (
    # Encryption concerns every mail, so it says nothing against this one.
    Rule(Outcome.TLS_POLICY, "tls_unavailable", kinds={FaultKind.NO_STARTTLS}),
    Rule(Outcome.TLS_POLICY, "tls_unavailable", stages={Stage.TLS}),
    Rule(Outcome.TLS_POLICY, "tls_failed", kinds={FaultKind.HANDSHAKE}, stages=_ANY_STAGE - {Stage.DOT}),
    Rule(Outcome.UNREACHABLE, "tls_failed", kinds=_NO_REPLY, stages={Stage.TLS}),
    # Too much from us. Providers say it with 4xx, with 5xx and even in answer to AUTH.
    Rule(Outcome.QUOTA, "quota_exceeded", codes=_4XX_5XX, enhanced=("4.4.5", "5.4.5")),
    Rule(
        Outcome.QUOTA,
        "quota_exceeded",
        codes=_4XX_5XX,
        text=r"(daily|monthly|hourly)\b.{0,30}\b(quota|limit)|credits exceeded|messaging limits",
    ),
    Rule(
        Outcome.RATE,
        "rate_limited",
        stages=_ANY_STAGE - _SETTING_UP,
        codes=_4XX,
        text=r"sending rate|rate limit|limit rate|unusual rate|thrott|too fast|slow down"
        r"|too many (messages|mails|emails|requests|connections)|(thread|connections) limit",
    ),
    # The login. A relay that hangs up on it has refused it too.
    Rule(Outcome.UNREACHABLE, "auth_failed", stages={Stage.AUTH}, codes=_4XX),
    Rule(Outcome.UNREACHABLE, "auth_failed", stages={Stage.AUTH}, kinds={FaultKind.TIMEOUT}),
    Rule(Outcome.SENDER_CONFIG, "auth_failed", stages={Stage.AUTH}, kinds=frozenset(FaultKind)),
    Rule(Outcome.SENDER_CONFIG, "auth_required", codes=_only(530)),
    Rule(Outcome.SENDER_CONFIG, "auth_required", codes=_5XX, enhanced=("5.7.30", "5.7.57", "5.7.139")),
    Rule(Outcome.SENDER_CONFIG, "auth_failed", codes=range(534, 536)),
    # The relay takes no session just now.
    Rule(Outcome.UNREACHABLE, "relay_unavailable", stages={Stage.CONNECT}, codes=_4XX),
    Rule(Outcome.UNREACHABLE, "relay_refused", stages={Stage.CONNECT}),
    Rule(Outcome.UNREACHABLE, "timeout", stages={Stage.CONNECT}, kinds={FaultKind.TIMEOUT}),
    Rule(Outcome.UNREACHABLE, "connection_failed", stages={Stage.CONNECT}, kinds=_NO_REPLY),
    # What we know before asking.
    Rule(Outcome.PERMANENT_MESSAGE, "smtputf8_unsupported", kinds={FaultKind.NO_SMTPUTF8}),
    Rule(Outcome.PERMANENT_RECIPIENT, "invalid_address", stages={Stage.RCPT}, kinds={FaultKind.BAD_ADDRESS}),
    Rule(Outcome.SENDER_CONFIG, "invalid_sender", stages={Stage.MAIL}, kinds={FaultKind.BAD_ADDRESS}),
    Rule(Outcome.SENDER_CONFIG, "size_limit", kinds={FaultKind.TINY_LIMIT}),
    Rule(Outcome.PERMANENT_MESSAGE, "too_large", kinds={FaultKind.TOO_LARGE}),
    # "Not now".
    Rule(Outcome.TRANSIENT, "relay_unavailable", codes=_only(421)),
    Rule(Outcome.TRANSIENT, "route_unavailable", codes=_5XX, enhanced=("5.4.4",)),
    Rule(Outcome.MAILBOX_FULL, "mailbox_full", codes=_4XX_5XX, enhanced=("4.2.2", "5.2.2")),
    Rule(
        Outcome.MAILBOX_FULL,
        "mailbox_full",
        stages=_ABOUT_RECIPIENT,
        codes=_4XX_5XX,
        text=r"mailbox (is )?full|over ?quota|quota exceeded|exceeded (its|his|her|their|the) (storage|quota)",
    ),
    Rule(Outcome.TRANSIENT, "relay_deferred", codes=_4XX),
    # "Never": because of us; of the mailbox; of this mail.
    Rule(Outcome.PERMANENT_MESSAGE, "too_large", codes=_5XX, enhanced=("5.3.4",)),
    Rule(Outcome.MAILBOX_FULL, "mailbox_full", stages={Stage.RCPT}, codes=_only(552)),
    Rule(Outcome.PERMANENT_MESSAGE, "too_large", codes=_only(552)),
    Rule(
        Outcome.SENDER_CONFIG,
        "sender_refused",
        codes=_5XX,
        text=r"address is not verified|verified sender|sender identity|SendAsDenied|not allowed to send as"
        r"|sender address rejected",
    ),
    Rule(Outcome.SENDER_CONFIG, "sender_refused", codes=_5XX, enhanced=("5.1.7", "5.1.8", "5.2.252", "5.7.60")),
    Rule(Outcome.SENDER_CONFIG, "sender_refused", codes=_only(553), enhanced=("5.7.1",)),
    Rule(Outcome.SENDER_CONFIG, "sender_refused", stages={Stage.MAIL}),
    # A forgotten login shows like this, and so does one domain a relay does not serve: wait, but hold nobody else up.
    Rule(
        Outcome.TRANSIENT,
        "relay_denied",
        stages={Stage.RCPT},
        codes=_5XX,
        text=r"relay(ing)? (access )?(denied|not permitted|not allowed|prohibited)|unable to relay|not relay",
    ),
    Rule(
        Outcome.PERMANENT_RECIPIENT,
        "recipient_refused",
        stages=_ABOUT_RECIPIENT,
        codes=_5XX,
        enhanced=("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"),
    ),
    Rule(
        Outcome.PERMANENT_RECIPIENT,
        "recipient_refused",
        stages=_ABOUT_RECIPIENT,
        codes=range(550, 554),
        text=r"(no such|unknown|invalid|nonexistent|non-existent) (user|recipient|mailbox|address)"
        r"|(user|recipient|mailbox|address)\b.{0,30}\b(unknown|not found|does ?n.t exist|does not exist|disabled)",
    ),
    Rule(Outcome.PERMANENT_MESSAGE, "policy_refused", codes=_5XX, enhanced=("5.7.",)),
    Rule(Outcome.PERMANENT_MESSAGE, "recipient_refused", stages={Stage.RCPT}, codes=_5XX),
    Rule(Outcome.PERMANENT_MESSAGE, "content_refused", codes=_5XX, stages=_CONTENT),
    # After the final dot, anything but a clear refusal leaves open whether the relay has the mail.
    Rule(Outcome.AMBIGUOUS, "no_reply", stages={Stage.DOT}, kinds=frozenset(FaultKind)),
    Rule(Outcome.TRANSIENT, "timeout", kinds={FaultKind.TIMEOUT}),
    Rule(Outcome.TRANSIENT, "connection_lost", kinds={FaultKind.DISCONNECTED}),
    Rule(Outcome.TRANSIENT, "protocol_error", kinds=frozenset(FaultKind)),
)


def classify(fault: SmtpFault, notification_id: str, attempt: int) -> AttemptResult:
    """The result of an attempt that ended in ``fault``."""
    rule = next(rule for rule in RULES if rule.fits(fault))
    return AttemptResult(
        notification_id,
        attempt,
        rule.outcome,
        fault.stage.value,
        fault.code,
        rule.reason,
        visible(fault.text),
        enhanced=fault.enhanced,
        retry_in=retry_hint(fault.text) if fault.kind is FaultKind.REPLY else None,
    )
