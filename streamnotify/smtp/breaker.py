"""The circuit breaker: while the relay is known to be out of order, mails are held and one now and then probes it.

research/email.md items 33 and 37. Times are seconds on the caller's clock.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Sequence

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.replies import without_addresses

logger = logging.getLogger(__name__)

# Seconds until the first, second, ... probe. A relay that refuses us may lock the account if it is asked too often.
_REFUSED = (60.0, 300.0, 900.0, 3600.0)
PROBE_AFTER = {
    Outcome.UNREACHABLE: (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0),
    Outcome.TLS_POLICY: _REFUSED,
    Outcome.SENDER_CONFIG: _REFUSED,
    Outcome.QUOTA: (900.0, 1800.0, 3600.0),
}


class BreakerState(enum.IntEnum):
    """Whether mails go out."""

    CLOSED = 0  # they do
    HALF_OPEN = 1  # one does, as a probe; the others wait
    OPEN = 2  # none does


class Breaker:
    """Opened by an outage, closed by a probe that meets none. It logs each change once.

    Args:
        relay: how the relay is called in the log.
    """

    def __init__(self, relay: str) -> None:
        self._relay = relay
        self._probes = 0
        self.state = BreakerState.CLOSED
        self.outage: AttemptResult | None = None  # the result that keeps it open
        self.opened_at = 0.0
        self.probe_at = 0.0

    def lets_through(self, now: float) -> bool:
        """True if a mail may go out now."""
        return self.state is BreakerState.CLOSED or (self.state is BreakerState.OPEN and now >= self.probe_at)

    def start(self) -> bool:
        """A mail that was let through goes out; True if it is the probe."""
        if self.state is BreakerState.CLOSED:
            return False
        self.state = BreakerState.HALF_OPEN
        return True

    def end(self, is_probe: bool, result: AttemptResult | None, now: float) -> None:
        """A mail has come back; ``result`` is None if it was stopped before it told anything about the relay."""
        if result is not None and result.outcome.is_outage and (is_probe or self.state is BreakerState.CLOSED):
            self._open(result, now)
        elif is_probe and result is not None:
            self._close(now)
        elif is_probe:
            self.state = BreakerState.OPEN

    def remarks(self, now: float) -> Sequence[str]:
        """The outage in a line for an operator, without any address; nothing while there is none.

        It may be asked from any thread: see :meth:`_open` for the order in which what it reads is written.
        """
        outage = self.outage
        if outage is None:
            return ()
        if self.state is BreakerState.HALF_OPEN:
            again = "a mail tries it now"
        else:
            left = self.probe_at - now
            again = f"tried again in {left:.0f} s" if left > 0 else "the next mail tries it"
        begin = f"SMTP relay {self._relay} has been out of order for {max(0.0, now - self.opened_at):.0f} s"
        return (f"{begin}, mails are held: {without_addresses(outage.words)} ({again})",)

    def _open(self, result: AttemptResult, now: float) -> None:
        known = self.outage
        if known is None:
            self.opened_at, self._probes = now, 0
        elif known.outcome is not result.outcome:
            self._probes = 0
        steps = PROBE_AFTER[result.outcome]
        wait = steps[min(self._probes, len(steps) - 1)]
        if result.retry_in is not None:
            asked = result.retry_in.total_seconds()
            # Whoever refuses a password "for 1 second" locks the account all the same.
            wait = max(wait, asked) if steps is _REFUSED else asked
        self._probes += 1
        self.probe_at = now + wait
        self.state, self.outage = BreakerState.OPEN, result  # last: who sees the outage sees its times, too
        if known is None or known.reason != result.reason:
            level = logging.WARNING if result.outcome is Outcome.UNREACHABLE else logging.ERROR
            held = "%s is out of order, mails are held: %s (tried again in %.0f s)"
            logger.log(level, held, self._relay, result.words, wait)

    def _close(self, now: float) -> None:
        self.state, self.outage = BreakerState.CLOSED, None
        logger.warning("%s works again after %.0f s, held mails go out", self._relay, now - self.opened_at)
