"""The broker's clock against ours: wakes are judged by one and fired by the other (DESIGN 3.3, 3.9)."""

from __future__ import annotations

import asyncio
import logging
import time

logger = logging.getLogger(__name__)

MAX_SKEW = 300.0  # seconds between the two clocks before the worker pauses
LOOK_AGAIN = 5.0  # seconds


class BrokerClock:
    """Knows how far the broker's append times are from this machine's clock."""

    def __init__(self) -> None:
        self.skew = 0.0

    @property
    def skewed(self) -> bool:
        """Whether the two clocks are too far apart to go on."""
        return abs(self.skew) > MAX_SKEW

    def observe(self, append_ms: int) -> None:
        """A record has been appended just now, at the broker's ``append_ms``."""
        self.skew = append_ms / 1000 - time.time()

    def observe_past(self, append_ms: int) -> None:
        """A record was appended at some time in the past: it shows no more than that the broker is ahead."""
        if append_ms / 1000 - time.time() > MAX_SKEW:
            self.observe(append_ms)

    async def wait(self) -> None:
        """Wait while the clocks are too far apart."""
        while self.skewed:
            logger.error("the broker's clock and this machine's are %.0f s apart: waiting until they agree", self.skew)
            await asyncio.sleep(LOOK_AGAIN)
