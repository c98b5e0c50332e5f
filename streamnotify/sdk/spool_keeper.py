"""When a process replays what lies in the spool: its own, and what dead processes of this host left."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from streamnotify.sdk.counters import logger
from streamnotify.sdk.replay import replay_all
from streamnotify.sdk.spool import Spool

if TYPE_CHECKING:
    from confluent_kafka import Producer


class SpoolKeeper:
    """A process's spool. A replay is due at the first delivery of the process and at the first after a loss.

    After a loss it is also tried without one every ``retry_s`` seconds, since perhaps nothing else is ever published.

    Args:
        directory, host, pid: as for Spool.
        clock: seconds, monotonic.
    """

    def __init__(
        self, directory: Path, host: str, pid: int, retry_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._spool = Spool(directory, host, pid)
        self._retry_s = retry_s
        self._clock = clock
        self._is_due = True
        self._replay_at = math.inf
        self._lock = threading.Lock()

    def append(self, topic: str, key: bytes | None, value: bytes) -> bool:
        """See Spool.append."""
        if not self._spool.append(topic, key, value):
            return False
        self._is_due = True
        self._replay_at = min(self._replay_at, self._clock() + self._retry_s)
        return True

    def kafka_is_there(self) -> None:
        """Kafka took an event."""
        if self._is_due:
            self._replay_at = -math.inf

    def replay_if_due(self, producer: Producer, is_over: Callable[[], bool]) -> int:
        """Replay if it is time to; returns how many events Kafka took. Does nothing while another thread does it."""
        if self._clock() < self._replay_at or not self._lock.acquire(blocking=False):
            return 0
        try:
            self._is_due, self._replay_at = False, math.inf  # what is spooled from here on is due again
            self._spool.release()
            outcome = replay_all(producer, self._spool.directory, self._spool.host, is_over)
            if outcome.left:
                self._is_due, self._replay_at = True, self._clock() + self._retry_s
            return outcome.taken
        except OSError as error:
            logger.warning("The spool of task events cannot be replayed: %s", error)
            return 0
        finally:
            self._lock.release()

    def release(self) -> None:
        """See Spool.release."""
        self._spool.release()
