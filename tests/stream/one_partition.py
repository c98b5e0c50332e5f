"""One partition of a station, driven by hand: records are appended, micro-batches applied, crashes happen at will."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from streamnotify.stations.context import Context, Station
from streamnotify.stream import engine_rows
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.layers import IDENTITY, RECORD_ID, Emission
from streamnotify.stream.processor import RESULT, TICK, Processor
from streamnotify.testing.memory import MemoryRecord, MemoryStore
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

CRASHES = ("none", "none", "before emitting", "emitted, not persisted", "persisted, not acked")

IN = Topic("in", internal=True, encode=msgspec.msgpack.encode, decode=msgspec.msgpack.decode)
NEXT = Topic("next", internal=True, encode=msgspec.msgpack.encode, decode=msgspec.msgpack.decode)
PUBLIC = Topic("public", internal=False, encode=msgspec.json.encode)

NOTE: Row[Any] = Row(b"n", object)  # whatever a test wants to keep


def station(handle: Callable[[Any, Context], None], **more: Any) -> Station:
    """A stateful station on the internal topic ``in`` with one kind of row, NOTE."""
    return Station(**{"name": "toy", "inputs": (IN,), "handle": handle, "rows": (NOTE,), **more})


class OnePartition:
    """A log, the state made from it, and everything that was ever sent while making it.

    Args:
        station: whose handler is called.
    """

    def __init__(self, station: Station) -> None:
        self.station = station
        self.log: list[MemoryRecord] = []
        self.store = MemoryStore()
        self.sent: list[Emission] = []
        self.started: list[tuple[str, int]] = []
        self.chunks: list[Chunk] = []
        self._read = 0

    def append(
        self, value: Any, *, at_ms: int = 0, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> int:
        """Append a command (or raw bytes, or None) and return its offset."""
        data = value if value is None or isinstance(value, bytes) else IN.encode(value)
        self.log.append(MemoryRecord("in", len(self.log), at_ms, key, data, headers))
        return len(self.log) - 1

    def tick(self, at_ms: int, frontier_ms: int | None = None) -> None:
        """Append a tick that the broker takes in at ``at_ms``."""
        frontier = b"" if frontier_ms is None else b"%d" % frontier_ms
        self.append(b"", at_ms=at_ms, headers=[(TICK, frontier)])

    def result(self, value: Any, key: bytes, number: int) -> None:
        """Append an attempt's result."""
        self.append(value, key=key, headers=[(RESULT, b"%d" % number)])

    def run(self, sizes: Iterable[int] = (), crashes: Iterable[str] = ()) -> OnePartition:
        """Read the log to its end.

        Args:
            sizes: of the micro-batches; what is left after them is one.
            crashes: per chunk one of CRASHES; after it a new process reads on after what was applied.
        """
        sizes, crashes = iter(sizes), iter(crashes)
        processor = self._new_process()
        while self._read < len(self.log):
            end = self._read + next(sizes, len(self.log))
            for chunk in processor.chunks(self.log[self._read : end]):
                if not self._persist(chunk, next(crashes, "none")):
                    processor = self._new_process()
                    break
            else:
                self._read = min(end, len(self.log))
        return self

    def rows(self) -> dict[str, Any]:
        """The notes by key."""
        return self.store.items(NOTE)

    def distinct(self) -> dict[bytes, tuple[str, bytes | None, bytes | None]]:
        """What was sent by identity; fails if an identity was ever sent with different content."""
        found: dict[bytes, tuple[str, bytes | None, bytes | None]] = {}
        for emission in self.sent:
            name = IDENTITY if emission.topic.internal else RECORD_ID
            identity = dict(emission.headers)[name]  # a dead letter carries its record's headers before its own
            content = (emission.topic.name, emission.key, emission.value)
            assert found.setdefault(identity, content) == content, f"{identity!r} stands for two records"
        return found

    def _new_process(self) -> Processor:
        position = engine_rows.decode_position(self.store.read(engine_rows.POSITION))
        self._read = position.applied + 1
        return Processor(self.station, b"toy/topic-id/0/0/", self.store)

    def _persist(self, chunk: Chunk, crash: str) -> bool:
        if crash == "before emitting":
            return False
        self.sent += chunk.emissions
        if crash == "emitted, not persisted":
            return False
        for key, value in chunk.rows.items():
            if value is None:
                self.store.rows.pop(key, None)
            else:
                self.store.rows[key] = value
        self.started += chunk.started
        self.chunks.append(chunk)
        return crash == "none"
