"""What has become of a process's events (research/celery-sdk.md K6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

QUIET_S = 60.0  # between two lines about losses

logger = logging.getLogger("streamnotify.sdk")


@dataclass(slots=True)
class Counters:
    """Numbers of events since this process started (or was forked).

    Args:
        queued: handed to the producer.
        delivered: taken by Kafka.
        dropped_full: refused because too much was waiting.
        timed_out: given up after ``give_up_s``, or left at the end of the process.
        oversize: too large for the topic.
        refused: not taken by Kafka for another reason.
        invalid: could not be encoded; a mistake of ours.
        spooled: of those not taken, the final ones that were written to the spool.
        replayed: out of the spool, taken by Kafka later.
    """

    queued: int = 0
    delivered: int = 0
    dropped_full: int = 0
    timed_out: int = 0
    oversize: int = 0
    refused: int = 0
    invalid: int = 0
    spooled: int = 0
    replayed: int = 0

    @property
    def not_taken(self) -> int:
        """Events that Kafka did not take, or not yet: some of them may be in the spool."""
        return self.dropped_full + self.timed_out + self.oversize + self.refused + self.invalid


class LossLog:
    """Says in the log how many events Kafka did not take: at the first, then once a minute while there are more.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._said = 0
        self._next_at = float("-inf")

    def report(self, *, at_the_end: bool = False) -> None:
        """Say it if there is more to say, and it is time or the last chance."""
        not_taken = self._counters.not_taken
        now = self._clock()
        if not_taken == self._said or (now < self._next_at and not at_the_end):
            return
        self._said, self._next_at = not_taken, now + QUIET_S
        counts = " ".join(f"{name}={number}" for name, number in asdict(self._counters).items() if number)
        logger.warning("Kafka did not take %d task events of this process so far: %s", not_taken, counts)
