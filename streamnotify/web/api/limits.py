"""How often somebody may come."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_REMEMBERED = 10_000  # of those who come; whoever came longest ago is forgotten, as if they had never come


class Limit:
    """So many at once, and so many a second from then on; each caller by itself.

    Args:
        at_once: how many may come in a row.
        per_second: how fast that fills up again.
        clock: seconds that only go on.
    """

    def __init__(self, at_once: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, who: str) -> int:
        """Count one more of ``who``: 0 if it may, else after how many seconds it may come again."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(who, (float(self._at_once), now))
            left = min(float(self._at_once), left + (now - since) * self._per_second)
            allowed = left >= 1
            self._left[who] = (left - 1 if allowed else left, now)
            if len(self._left) > _REMEMBERED:
                self._left.popitem(last=False)
        return 0 if allowed else math.ceil((1 - left) / self._per_second)
