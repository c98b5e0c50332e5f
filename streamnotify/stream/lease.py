"""Whether this process may still act for its partitions: not frozen, and heard by the group (DESIGN 3.6, 3.10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from streamnotify.errors import LeaseLost

PULSE = 0.2  # seconds between two beats of the event loop
# Seconds without a word from the group after which the process ends: a rebalance may take 60 s, a broker's restart as
# long. Requests have no useful limit of their own (faust_app.RECOVERY_TIMEOUT), so one that is never answered, on a
# connection that nobody closes, would keep this worker idle for an hour.
UNHEARD_LIMIT = 180.0


def boot_clock() -> float:
    """Seconds since boot, counting time asleep (CLOCK_BOOTTIME), so that a suspended machine notices."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lease:
    """The cheap first line before the broker's fence: checked before every send.

    Args:
        limit: seconds; at most half the session time-out, after which others may own our partitions.
        clock: seconds, monotonic.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = boot_clock) -> None:
        self._limit = limit
        self._clock = clock
        self._pulse_at = clock()
        self._heartbeat_at = clock()
        self._lost: str | None = None

    def lose(self, reason: str) -> None:
        """This process never may act again.

        Args:
            reason: a clause for the log, such as "the group does not know this worker any more".
        """
        self._lost = reason

    def heartbeat_answered(self) -> None:
        """The group coordinator has answered a heartbeat or a join."""
        self._heartbeat_at = self._clock()

    @property
    def heartbeat_age(self) -> float:
        """Seconds since the group coordinator last answered."""
        return self._clock() - self._heartbeat_at

    @property
    def pulse_age(self) -> float:
        """Seconds since the event loop's last beat."""
        return self._clock() - self._pulse_at

    def check_pulse(self) -> None:
        """Raise LeaseLost if this process was frozen for longer than the limit, or is out of the group for good."""
        if self._lost is not None:
            raise LeaseLost(self._lost)
        gap = self.pulse_age
        if gap > self._limit:
            raise LeaseLost(f"this process stood still for {gap:.1f} s")

    def check(self) -> None:
        """Raise LeaseLost if this process was frozen, or the group has not answered, for longer than the limit."""
        self.check_pulse()
        if self.heartbeat_age > self._limit:
            raise LeaseLost(f"no heartbeat was answered for {self.heartbeat_age:.1f} s")

    def check_heard(self) -> None:
        """Raise LeaseLost if the group has been silent for so long that only a new start will help."""
        if self.heartbeat_age > UNHEARD_LIMIT:
            raise LeaseLost(f"the group coordinator has not answered for {self.heartbeat_age:.0f} s")

    async def keep_pulse(self) -> None:
        """Beat for ever; raises LeaseLost at the first beat after a gap."""
        while True:
            self._pulse_at = self._clock()
            await asyncio.sleep(PULSE)
            self.check_pulse()
