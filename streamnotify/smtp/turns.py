"""Who goes next: mails wait here for a free connection, for the breaker and for the rate limit."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Sequence

from streamnotify.domain.delivery import AttemptResult, Outcome, Priority
from streamnotify.smtp.breaker import Breaker, BreakerState
from streamnotify.smtp.limits import Limits
from streamnotify.smtp.metrics import BREAKER_AGE, BREAKER_STATE, RATE_LIMIT, WAITING

CROWDED_FOR = 60.0  # seconds before more connections are tried than the relay took

Turn = asyncio.Future[bool]  # done when it has come; True for the breaker's probe


class Turns:
    """Gives turns by priority, then by arrival; each must be given back.

    While there is no open connection only one mail has a turn: a relay that is down or refuses the password is then
    asked once, not once per connection. Make it within the event loop that sends.

    Args:
        places: turns at a time.
        breaker: stops them all.
        limits: space them.
        connections: tells how many are open.
    """

    def __init__(self, places: int, breaker: Breaker, limits: Limits, connections: Callable[[], int]) -> None:
        self._places = self._all_places = places
        self._crowded_until = 0.0
        self._breaker = breaker
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._taken = 0
        self._queue: list[tuple[Priority, int, Turn]] = []
        self._left = 0  # turns in the queue that nobody waits for any more
        self._arrivals = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        WAITING.set_function(lambda: len(self._queue) - self._left)
        RATE_LIMIT.set_function(lambda: limits.rate or 0.0)
        BREAKER_STATE.set_function(lambda: breaker.state)
        BREAKER_AGE.set_function(self._held_for)

    def enter(self, priority: Priority) -> Turn:
        """Queue for a turn; the future is done when it has come, often at once."""
        turn: Turn = self._loop.create_future()
        heapq.heappush(self._queue, (priority, next(self._arrivals), turn))
        self._give()
        return turn

    def leave(self, turn: Turn) -> None:
        """Wait no longer, whether the turn has come meanwhile or not."""
        if turn.done():
            self.give_back(turn, None)
            return
        turn.cancel()
        self._left += 1
        if self._left * 2 > len(self._queue):
            self._queue = [each for each in self._queue if not each[2].cancelled()]
            heapq.heapify(self._queue)
            self._left = 0

    def give_back(self, turn: Turn, result: AttemptResult | None) -> None:
        """The turn is over; ``result`` is None if it told nothing about the relay."""
        now = self._loop.time()
        self._taken -= 1
        if result is not None and result.outcome is Outcome.SENT:
            self._limits.accepted(now)
        elif result is not None and result.outcome is Outcome.RATE:
            self._limits.complained(now)
        self._breaker.end(turn.result(), result, now)
        self._give()

    def crowded(self, turn: Turn) -> None:
        """The turn is over because the relay takes no more connections than are open: use no more for a while."""
        self._places = max(1, self._connections())
        self._crowded_until = self._loop.time() + CROWDED_FOR
        self.give_back(turn, None)

    def remarks(self) -> Sequence[str]:
        """What the breaker has to say now; may be asked from any thread."""
        return self._breaker.remarks(self._loop.time())

    def _give(self) -> None:
        now = self._loop.time()
        if now >= self._crowded_until:
            self._places = self._all_places
        while self._queue and self._is_place_free() and self._breaker.lets_through(now):
            if self._queue[0][2].cancelled():
                heapq.heappop(self._queue)
                self._left -= 1
                continue
            ready_at = self._limits.ready_at(now)
            if ready_at > now:
                self._give_at(ready_at)
                return
            self._limits.take(now)
            self._taken += 1
            heapq.heappop(self._queue)[2].set_result(self._breaker.start())
        if self._queue and self._breaker.state is BreakerState.OPEN:
            self._give_at(self._breaker.probe_at)

    def _is_place_free(self) -> bool:
        return self._taken < (self._places if self._connections() else 1)

    def _give_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._give)

    def _held_for(self) -> float:
        return 0.0 if self._breaker.state is BreakerState.CLOSED else self._loop.time() - self._breaker.opened_at
