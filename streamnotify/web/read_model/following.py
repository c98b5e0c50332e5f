"""What a follower does, again and again: look at the topics, read on, say how far it is, remove what is too old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from streamnotify.errors import EngineFailure
from streamnotify.stream.topic_admin import APPLY_COMMAND
from streamnotify.web.read_model.retention import sweep
from streamnotify.web.read_model.source import FoundTopic, Source
from streamnotify.web.read_model.store import Place, Store
from streamnotify.web.read_model.tables import TABLES

logger = logging.getLogger(__name__)

_SAY_EVERY = timedelta(seconds=30)  # how much a rebuild has before it


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often what is done: ``look`` at the topics, of which some may be new or made anew, ``measure`` how far behind
    it is, ``sweep`` out what is too old."""

    look: timedelta = timedelta(seconds=10)
    measure: timedelta = timedelta(seconds=2)
    sweep: timedelta = timedelta(minutes=10)


class Following:
    """One go at it: until it is stopped, or something is in the way.

    Args:
        store: the file.
        source: the topics.
        clock: the time now, aware.
        intervals: how often what is done.
        say: logs a sentence at a level, unless it was the last one.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        clock: Callable[[], datetime],
        intervals: Intervals,
        say: Callable[[int, str], None],
    ) -> None:
        self._store = store
        self._source = source
        self._clock = clock
        self._intervals = intervals
        self._say = say
        self._topics: dict[str, FoundTopic] = {}
        self._positions: dict[Place, int] = {}
        self._sweep: Iterator[int] | None = None
        self._due: dict[str, float] = {}

    def until(self, stopped: threading.Event) -> None:
        """Follow until ``stopped``.

        Raises:
            EngineFailure: if Kafka does not answer, let us in or allow it, or the file is gone.
            sqlite3.Error: if the file cannot be written.
        """
        while not stopped.is_set():
            if self._is_due("look", self._intervals.look):
                self._look()
            self._read_on()
            if self._is_due("measure", self._intervals.measure):
                self._measure()
            self._sweep_on()

    def _look(self) -> None:
        """Which topics are there? What is not, may come. And is the file still there?"""
        if not self._store.is_in_place():
            raise EngineFailure("somebody has removed the file; it is made anew")
        found = self._source.topics()
        if missing := sorted(TABLES.keys() - found.keys()):
            self._say(logging.WARNING, f"missing topics: {', '.join(missing)}. Run: {APPLY_COMMAND}")
        if found == self._topics:
            return
        for topic in self._store.follow({name: topic.topic_id for name, topic in found.items()}):
            logger.warning("Read model: topic %s is not the one that was read, and is read from its start", topic)
        self._topics, self._positions = found, self._store.positions()
        self._source.read_from({place: self._positions.get(place) for place in self._places()})

    def _read_on(self) -> None:
        batch = self._source.batch()
        new = {place: offset for place, offset in batch.positions.items() if self._positions.get(place) != offset}
        if new:
            self._store.write(batch.records, new, self._clock())
            self._positions |= new

    def _measure(self) -> None:
        """What was there at a time before the ends were asked for is in, if it is up to them."""
        asked_at = self._clock()
        ends = self._source.ends(self._places())
        behind = sum(max(0, end - self._positions.get(place, 0)) for place, end in ends.items())
        self._store.note_progress(None if behind else asked_at, behind)
        if not behind and self._topics.keys() == TABLES.keys():
            self._say(logging.INFO, "up to date")
        elif behind and self._is_due("say", _SAY_EVERY):
            logger.info("Read model: %s records behind", f"{behind:,}")

    def _sweep_on(self) -> None:
        """A little of it, so that reading goes on."""
        if self._sweep is None and self._is_due("sweep", self._intervals.sweep):
            self._sweep = sweep(self._store, self._clock())
        if self._sweep is not None and next(self._sweep, None) is None:
            self._sweep = None

    def _places(self) -> list[Place]:
        return [(name, number) for name, topic in self._topics.items() for number in range(topic.partitions)]

    def _is_due(self, what: str, every: timedelta) -> bool:
        """Whether it is time for something that is done every so often."""
        now = time.monotonic()
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every.total_seconds()
        return True
