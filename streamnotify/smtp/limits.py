"""How fast mails go out: as fast as the settings say, slower while the relay complains (research/email.md item 36).

Times are seconds on the caller's clock. Both limits are one worker's own; the count of the day is lost when it ends.
"""

from __future__ import annotations

from collections import deque

_DAY = 86_400.0
_MARGIN = 0.98  # of the allowed rate is used: the relay's clock and window are not ours
_CATCH_UP = 0.05  # seconds of lateness that are made up for, so that coarse timers do not lower the rate
_SETTLED = 1.0  # seconds in which further complaints are about what was sent before the first
_SLOWEST = 0.2  # mails a second


class Limits:
    """A token bucket per second and one per day.

    A complaint of the relay halves the rate at which it has been accepting. The rate then grows steadily: within 5 s
    to 0.9 of the one complained about, which is safe; from there to the whole in a minute; at twice it is forgotten.

    Args:
        per_second: mails; None for no limit but the relay's.
        per_day: mails in any 24 hours; None for no limit.
    """

    def __init__(self, per_second: float | None, per_day: int | None) -> None:
        self._configured = per_second
        self._per_day = per_day
        self.rate = per_second  # in force now
        self._complained_at_rate = 0.0
        self._complained_at = float("-inf")
        self._grown_at = 0.0
        self._next = float("-inf")
        self._day: deque[float] = deque()
        self._accepted: deque[float] = deque()

    def ready_at(self, now: float) -> float:
        """When the next mail may go out; not after ``now`` if it may at once."""
        self._grow(now)
        ready = self._next if self.rate is not None else now
        if self._per_day is not None:
            while self._day and self._day[0] <= now - _DAY:
                self._day.popleft()
            if len(self._day) >= self._per_day:
                ready = max(ready, self._day[0] + _DAY)
        return ready

    def take(self, now: float) -> None:
        """A mail goes out."""
        if self.rate is not None:
            self._next = max(self._next, now - _CATCH_UP) + 1 / (self.rate * _MARGIN)
        if self._per_day is not None:
            self._day.append(now)

    def accepted(self, now: float) -> None:
        """The relay has taken a mail."""
        self._accepted.append(now)
        self._forget_accepted(now)

    def complained(self, now: float) -> None:
        """The relay says that we are too fast."""
        if now - self._complained_at < _SETTLED:
            return
        self._forget_accepted(now)
        rate = max(1.0, float(len(self._accepted)))
        self._complained_at_rate = rate if self.rate is None else min(rate, self.rate)
        self._complained_at = self._grown_at = now
        self.rate = max(self._complained_at_rate / 2, _SLOWEST)
        self._next = now + 1 / self.rate

    def _forget_accepted(self, now: float) -> None:
        while self._accepted and self._accepted[0] <= now - 1:
            self._accepted.popleft()

    def _grow(self, now: float) -> None:
        if self.rate is None or self._complained_at_rate == 0:
            return
        safe = 0.9 * self._complained_at_rate
        quick = 0.08 * self._complained_at_rate  # a second
        slow = self._complained_at_rate / 600
        elapsed, self._grown_at = now - self._grown_at, now
        until_safe = max(0.0, (safe - self.rate) / quick)
        self.rate += min(elapsed, until_safe) * quick + max(0.0, elapsed - until_safe) * slow
        enough = self._configured if self._configured is not None else 2 * self._complained_at_rate
        if self.rate >= enough:
            self.rate, self._complained_at_rate = self._configured, 0.0
