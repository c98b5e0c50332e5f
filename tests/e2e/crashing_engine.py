"""The in-memory engine under a power that dies between two steps of persisting a chunk."""

from __future__ import annotations

from collections.abc import Iterator

from streamnotify.stations.context import Station
from streamnotify.stream.chunk import Chunk
from streamnotify.testing.memory import MemoryEngine


class Died(Exception):
    """The process is gone."""


class CrashingEngine(MemoryEngine):
    """Dies at chosen chunks, and goes on as a new process does: it reads again what was not yet applied.

    ``crashes`` says for the chunks to come where each dies: False before it emits, True after, before it is persisted;
    None not at all.
    """

    crashes: Iterator[bool | None] = iter(())

    def _run(self, station: Station) -> bool:
        before = {topic.name: self._read[f"{station.name}<{topic.name}"] for topic in station.inputs}
        try:
            return super()._run(station)
        except Died:
            for name, read in before.items():
                self._read[f"{station.name}<{name}"] = read
            return True

    def _persist(self, station: Station, chunk: Chunk) -> None:
        emits = next(self.crashes, None)
        if emits is None:
            super()._persist(station, chunk)
            return
        for emission in chunk.emissions if emits else ():
            self._emit(emission)
        raise Died
