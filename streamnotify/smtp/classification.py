"""What a fault means for the mail: the decision table of research/email.md item 32, as data.

The first rule that fits decides. Rules look at the stage, what happened and the reply code.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage

_TEXT_LIMIT = 500
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")

_ANY_STAGE = frozenset(Stage)
_SETTING_UP = frozenset({Stage.CONNECT, Stage.TLS, Stage.AUTH})
_REPLY = frozenset({FaultKind.REPLY})
_ANY_KIND = frozenset(FaultKind)
_ANY_CODE = range(1000)


@dataclass(frozen=True, slots=True)
class Rule:
    """If stage, kind and code fit: this outcome, for this reason. ``codes`` concern replies only."""

    outcome: Outcome
    reason: str
    stages: Set[Stage] = _ANY_STAGE
    kinds: Set[FaultKind] = _ANY_KIND
    codes: range = _ANY_CODE

    def fits(self, fault: SmtpFault) -> bool:
        """True if this rule decides about ``fault``."""
        code_fits = fault.code is None or fault.code in self.codes
        return fault.stage in self.stages and fault.kind in self.kinds and code_fits


def _only(code: int) -> range:
    return range(code, code + 1)


RULES = (
    # Encryption and login concern every mail, so they say nothing against this one: it waits.
    Rule(Outcome.DEFERRED, "tls_unavailable", kinds={FaultKind.NO_STARTTLS}),
    Rule(Outcome.DEFERRED, "tls_failed", kinds={FaultKind.HANDSHAKE}, stages=_ANY_STAGE - {Stage.DOT}),
    Rule(Outcome.DEFERRED, "tls_failed", stages={Stage.TLS}),
    # A relay that hangs up on a login has refused it too.
    Rule(Outcome.DEFERRED, "auth_failed", stages={Stage.AUTH}),
    Rule(Outcome.DEFERRED, "auth_required", kinds=_REPLY, codes=_only(530)),
    # The address or the mail itself can never go through this relay.
    Rule(Outcome.FAILED, "smtputf8_unsupported", kinds={FaultKind.NO_SMTPUTF8}),
    Rule(Outcome.FAILED, "invalid_address", kinds={FaultKind.BAD_ADDRESS}, stages={Stage.MAIL, Stage.RCPT}),
    Rule(Outcome.FAILED, "too_large", kinds=_REPLY, stages={Stage.MAIL}, codes=_only(552)),
    # The relay answered: "not now" waits; "never" is about the sender at MAIL, about this mail after it.
    Rule(Outcome.DEFERRED, "relay_unavailable", kinds=_REPLY, codes=_only(421)),
    Rule(Outcome.DEFERRED, "relay_deferred", kinds=_REPLY, codes=range(400, 500)),
    Rule(Outcome.DEFERRED, "relay_refused", kinds=_REPLY, stages=_SETTING_UP),
    Rule(Outcome.DEFERRED, "sender_refused", kinds=_REPLY, stages={Stage.MAIL}),
    Rule(Outcome.FAILED, "recipient_refused", kinds=_REPLY, stages={Stage.RCPT}, codes=range(500, 600)),
    Rule(Outcome.FAILED, "content_refused", kinds=_REPLY, codes=range(500, 600)),
    # After the final dot, anything but a clear refusal leaves open whether the relay has the mail.
    Rule(Outcome.AMBIGUOUS, "no_reply", stages={Stage.DOT}),
    Rule(Outcome.DEFERRED, "timeout", kinds={FaultKind.TIMEOUT}),
    Rule(Outcome.DEFERRED, "connection_failed", stages={Stage.CONNECT}),
    Rule(Outcome.DEFERRED, "connection_lost", kinds={FaultKind.DISCONNECTED}),
    Rule(Outcome.DEFERRED, "protocol_error"),
)


def classify(fault: SmtpFault, notification_id: str, attempt: int) -> AttemptResult:
    """The result of an attempt that ended in ``fault``."""
    rule = next(rule for rule in RULES if rule.fits(fault))
    return AttemptResult(
        notification_id, attempt, rule.outcome, fault.stage.value, fault.code, rule.reason, visible(fault.text)
    )


def visible(text: str) -> str:
    """The relay's words on one line, at most 500 characters, without anything that could forge a log line."""
    return _UNSEEN.sub(" ", text).strip()[:_TEXT_LIMIT]
