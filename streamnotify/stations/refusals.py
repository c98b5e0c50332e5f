"""Why a mail must not go now: asked before each attempt, and by the attempt itself right before the mail goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from streamnotify.domain.delivery import SUPERSEDED, OutgoingMail
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.errors import StreamnotifyError
from streamnotify.stations import opt_outs, superseding, suppression
from streamnotify.stations.context import Attempt, Rows


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a mail must not go: ``reason`` as on notification-status, ``words`` as in the log."""

    reason: SuppressionReason
    words: str

    @property
    def of_address(self) -> bool:
        """True if nothing may go to the address; else something of the mail is not wanted."""
        return self.reason is SuppressionReason.SUPPRESSED_ADDRESS


class MailRefused(StreamnotifyError):
    """The mail must not go out any more; ``reason`` as on notification-status, the text as in the log."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


def refusal_of(mail: OutgoingMail, rows: Rows, now: datetime) -> Refusal | None:
    """Why a mail must not go to its address now; None if it may."""
    found = suppression.suppressed(mail, rows, now)
    if found is not None:
        return Refusal(SuppressionReason.SUPPRESSED_ADDRESS, found.cause.value)
    reason = opt_outs.refused(mail, rows)
    return None if reason is None else Refusal(reason, reason.value)


def checking(mail: OutgoingMail, attempt: Attempt) -> Callable[[], None]:
    """``attempt.check_lease``, and a last look at who refuses the mail: it may have waited for days for its relay.

    A later mail may say the opposite by then, too; only a first attempt is made nevertheless.

    What it returns raises MailRefused, besides what ``check_lease`` raises.
    """

    def check() -> None:
        attempt.check_lease()
        refusal = refusal_of(mail, attempt.rows, datetime.now(UTC))
        if refusal is not None:
            raise MailRefused(refusal.reason.value, refusal.words)
        if attempt.number > 1 and superseding.is_superseded(mail, attempt.rows):
            raise MailRefused(SUPERSEDED, "a later mail says the opposite")

    return check
