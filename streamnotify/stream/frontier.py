"""The frontier: up to which second everything that lay in ``task-events`` has been taken in (DESIGN section 6).

A check due at T must not be made before that, or our own lag would look like a task that did not run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from math import floor, inf
from typing import NamedTuple, Protocol

from streamnotify.errors import EngineFailure
from streamnotify.stream.clock import BrokerClock
from streamnotify.stream.intake import ANSWER_WITHIN
from streamnotify.stream.lease import boot_clock
from streamnotify.stream.metrics import FRONTIER_AGE, NOTES_VOIDED

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.2  # seconds, while a note waits
IDLE = 0.5  # seconds between two looks whether there is anything to do
COMMIT_WITHIN = 1.0  # seconds that a look waits for a commit, which a broker that is away can hold up for long
# The broker was away if two questions in a row got no answer, or if there was none for so many seconds: one that is not
# answered in time, or by another node, happens.
AWAY_AFTER = 2
UNHEARD_FOR = ANSWER_WITHIN + 3.0
# A publisher that has lost the broker looks for it again after a while that doubles and varies by half, up to 15 s
# (librdkafka, reconnect.backoff.max.ms), and only then sends what it has kept.
LOOKS_AGAIN_WITHIN = 2  # times as long as the broker was away ...
FOUND_AGAIN_WITHIN = 20.0  # ... and at most so many seconds
MOST_NOTES = 300  # beyond that they are thinned: a lag of hours still ends in steps, larger ones


class Asked(Protocol):
    """What is known of the topic; see :class:`streamnotify.stream.intake.Intake`."""

    async def ends(self) -> dict[int, int]: ...
    async def taken_in(self, ends: Mapping[int, int]) -> dict[int, int]: ...
    async def close(self) -> None: ...


class Note(NamedTuple):
    """Where the topic's partitions ended when everything of second ``at`` had reached them."""

    at: int
    ends: Mapping[int, int]

    def met(self, taken_in: Mapping[int, int]) -> bool:
        """Whether all of that has been taken in, by each partition's offset up to which it has."""
        return all(taken_in.get(number, -1) >= end for number, end in self.ends.items())


class Frontier:
    """Takes a note every second and tells which is the newest that is met.

    The label of a note is never later than what it saw: ``clock`` is never ahead of the broker's, and the offsets are
    asked for ``settle`` after the second they stand for. So an answer that is late, missing or partial costs time only.
    When the broker has been away, no note is taken before publishers, too, have found it again.

    Args:
        intake: answers how far the topic reaches and how far it has been taken in.
        clock: the broker's time.
        settle: how long events in transit get.
        commit: commits at once what has been taken in.
        advanced: told the frontier in milliseconds whenever it has moved; None when it is not known any more.
        needed: whether there is anything here that could wait for it.
        steady: seconds, whatever this machine's clock is set to.
        after_failure: whether an engine before this one has ended unasked; the broker may have been away.
    """

    def __init__(
        self,
        intake: Asked,
        clock: BrokerClock,
        settle: timedelta,
        commit: Callable[[], Awaitable[object]],
        advanced: Callable[[int | None], None],
        needed: Callable[[], bool],
        steady: Callable[[], float] = boot_clock,
        *,
        after_failure: bool = False,
    ) -> None:
        self._intake = intake
        self._clock = clock
        self._settle = settle.total_seconds()
        self._commit = commit
        self._advanced = advanced
        self._needed = needed
        self._notes: list[Note] = []
        self._noted = -1
        self._resting = False
        self._steady = steady
        self._age_from = self._asked_at = steady()
        self._committing: asyncio.Future[object] | None = None
        self._unanswered = 0  # questions in a row
        self._answered_at = -inf if after_failure else steady()
        self._away_since = self._found_again_at = -inf  # the second by the publishers
        self.ms: int | None = None
        FRONTIER_AGE.set_function(lambda: self.age)

    @property
    def age(self) -> float:
        """Seconds from the frontier to now; from the start while there is none, 0 where none is needed.

        May be asked in any thread.
        """
        return 0.0 if self._resting else max(0.0, self._steady() - self._age_from)

    async def run(self) -> None:
        """Go on for ever. No answer of the broker ends it, nor the lack of one."""
        try:
            while True:
                pause = await self.step()
                await asyncio.sleep(pause)
        finally:
            await self._intake.close()

    async def step(self) -> float:
        """Take a note if it is time, see which are met; returns the seconds until the next step."""
        self._resting = not self._needed()
        now = self._clock.now
        if now is not None and not self._resting:
            await self._take_note(floor(now - self._settle))
        elif self._steady() - self._asked_at >= 1:
            await self._ask()  # only to see whether the broker is there
        if self._resting:
            return IDLE
        answered = await self._look() if self._notes else True
        pause, now = LOOK_EVERY if self._notes and answered else IDLE, self._clock.now
        return pause if now is None else min(pause, max(self._noted + 1 + self._settle - now, 0.001))

    async def _take_note(self, second: int) -> None:
        """Take the note of a second, unless it has been taken."""
        if second < self._noted:
            self._go_back_to(second)
        if second <= self._noted:
            return
        self._noted = second
        ends = await self._ask()
        if ends is None or self._answered_at < self._found_again_at:
            return
        if len(self._notes) >= MOST_NOTES:
            _thin(self._notes)
        self._notes.append(Note(second, ends))

    async def _ask(self) -> Mapping[int, int] | None:
        """Where the topic ends; None if there is no answer."""
        self._asked_at = self._steady()
        try:
            ends = await self._intake.ends()
        except EngineFailure as failure:
            NOTES_VOIDED.inc()
            self._unanswered += 1
            if self._unanswered == AWAY_AFTER:
                logger.warning("the frontier waits: %s", failure)
            return None
        self._note_answer(self._steady())
        return ends

    def _note_answer(self, now: float) -> None:
        """The broker is there; if it was not before, publishers may not know yet."""
        if self._unanswered >= AWAY_AFTER or now - self._answered_at > UNHEARD_FOR:
            if now >= self._found_again_at:
                self._away_since = self._answered_at  # else it is still the same absence
            wait = min(LOOKS_AGAIN_WITHIN * (now - self._away_since), FOUND_AGAIN_WITHIN)
            self._found_again_at = now + wait
            logger.info("checks of monitors wait for %.0f s more: publishers may have lost the broker, too", wait)
        self._answered_at, self._unanswered = now, 0

    def _go_back_to(self, second: int) -> None:
        """Forget the seconds that have not passed: the broker's clock was set back, or an ack that told it was late."""
        self._noted = second
        self._notes = [note for note in self._notes if note.at <= second]
        if self.ms is not None and self.ms > second * 1000:
            self.ms = None
            self._advanced(None)

    async def _commit_soon(self) -> None:
        """Commit, or let the commit that is under way get on for a moment."""
        if self._committing is None:
            self._committing = asyncio.ensure_future(self._commit())
        done, _ = await asyncio.wait([self._committing], timeout=COMMIT_WITHIN)
        if done:
            self._committing.result()
            self._committing = None

    async def _look(self) -> bool:
        """See which notes are met; whether there was an answer."""
        await self._commit_soon()
        try:
            taken_in = await self._intake.taken_in(self._notes[-1].ends)
        except EngineFailure as failure:
            logger.debug("the frontier waits: %s", failure)
            return False
        met = next((at for at in range(len(self._notes) - 1, -1, -1) if self._notes[at].met(taken_in)), None)
        if met is None:
            return True
        self.ms = self._notes[met].at * 1000
        del self._notes[: met + 1]
        now = self._clock.now
        if now is not None:
            self._age_from = self._steady() - (now - self.ms / 1000)
        self._advanced(self.ms)
        return True


def _thin(notes: list[Note]) -> None:
    """Drop the note whose neighbours lie closest together, so that the rest stays evenly spread."""
    del notes[min(range(1, len(notes) - 1), key=lambda at: notes[at + 1].at - notes[at - 1].at)]
