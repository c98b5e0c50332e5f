"""The broker's clock against ours: wakes are judged by one and fired by the other (DESIGN 3.3, 3.9)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from streamnotify.stream.lease import boot_clock

logger = logging.getLogger(__name__)

MAX_SKEW = 300.0  # seconds between the two clocks before the worker pauses
LOOK_AGAIN = 5.0  # seconds
OBSERVE_EVERY = 10.0  # seconds; a clock that was set meanwhile misleads nobody for longer
FORGET_AFTER = 60.0  # seconds
DRIFT = 0.001  # seconds a second by which two clocks that are being corrected run apart


class BrokerClock:
    """Knows how far the broker's append times are from this machine's clock, and what time it is there.

    Args:
        steady: seconds, whatever this machine's clock is set to.
    """

    def __init__(self, steady: Callable[[], float] = boot_clock) -> None:
        self.skew = 0.0
        self._steady = steady
        self._appended: float | None = None
        self._observed_at = 0.0

    @property
    def now(self) -> float | None:
        """The broker's time in seconds since the epoch, or a little less but never more; None while it is not known.

        It is a record's append time and what has passed since its ack: the broker's time when the ack was sent was
        later than the one, and no step of this machine's clock changes the other.
        """
        passed = self._steady() - self._observed_at
        return None if self._appended is None or passed > FORGET_AFTER else self._appended + passed * (1 - DRIFT)

    @property
    def wants_observation(self) -> bool:
        """Whether a record should be appended to see the broker's time again."""
        return self._appended is None or self._steady() - self._observed_at > OBSERVE_EVERY

    @property
    def skewed(self) -> bool:
        """Whether the two clocks are too far apart to go on."""
        return abs(self.skew) > MAX_SKEW

    def observe(self, append_ms: int) -> None:
        """A record has been appended just now, at the broker's ``append_ms``."""
        self.skew = append_ms / 1000 - time.time()
        self._appended, self._observed_at = append_ms / 1000, self._steady()

    def observe_past(self, append_ms: int) -> None:
        """A record was appended at some time in the past: it shows no more than that the broker is ahead."""
        if append_ms / 1000 - time.time() > MAX_SKEW:
            self.observe(append_ms)

    async def wait(self) -> None:
        """Wait while the clocks are too far apart."""
        while self.skewed:
            logger.error("the broker's clock and this machine's are %.0f s apart: waiting until they agree", self.skew)
            await asyncio.sleep(LOOK_AGAIN)
