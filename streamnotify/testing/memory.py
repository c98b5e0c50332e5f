"""The in-memory engine: the same stations, the same chunks, wakes and identities, without Kafka and without waiting.

Four verbs: put an event, advance the clock, read what came out, look into the state (after Kafka Streams'
TopologyTestDriver).
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from streamnotify.stations.context import Attempt, Station, WaitsFor
from streamnotify.stream import engine_rows, wakes
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.layers import Emission
from streamnotify.stream.processor import RESULT, TICK, Processor
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

T = TypeVar("T")

START = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A record on an in-memory topic; one partition each."""

    topic: str
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0

    def json(self) -> Any:
        """The value, parsed."""
        return json.loads(self.value or b"null")


class MemoryStore:
    """The rows of one station."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def read(self, key: bytes) -> bytes | None:
        """See Store."""
        return self.rows.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        return ((key, self.rows[key]) for key in sorted(key for key in self.rows if start <= key < stop))

    def scan_back(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Store."""
        return reversed(list(self.scan(start, stop)))

    def get(self, row: Row[T], key: str) -> T | None:
        """A station's row; see Rows."""
        data = self.read(row.key(key))
        return None if data is None else row.decode(data)

    def items(self, row: Row[T]) -> dict[str, T]:
        """All rows of one kind by key."""
        return {key[1:].decode(): row.decode(value) for key, value in self.rows.items() if key[:1] == row.kind}


class MemoryEngine:
    """Runs stations in memory. Time stands still unless it is advanced.

    Args:
        stations: what to run; attempts are made by their performers, inline.
        start: where the clock begins, aware UTC.
    """

    def __init__(self, stations: Sequence[Station], *, start: datetime = START) -> None:
        self.now = start
        self._stations = {station.name: station for station in stations}
        self._stores = {station.name: MemoryStore() for station in stations}
        self._processors = {
            (station.name, topic.name): Processor(
                station, f"{station.name}/memory-{topic.name}/0/0/".encode(), self._stores[station.name]
            )
            for station in stations
            for topic in station.inputs
        }
        self._logs: defaultdict[str, list[MemoryRecord]] = defaultdict(list)
        self._read: defaultdict[str, int] = defaultdict(int)
        self._open: list[tuple[Station, str, int]] = []

    def put(
        self,
        topic: Topic,
        value: bytes | str | Mapping[str, Any] | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        settle: bool = True,
    ) -> None:
        """Append a record to a topic, now, and have everything that follows from it done.

        Args:
            value: bytes as they are, text as UTF-8, a mapping as JSON.
            settle: False to put more before anything is read, as one micro-batch.
        """
        if isinstance(value, Mapping):
            value = json.dumps(value)
        self._append(topic, key, value.encode() if isinstance(value, str) else value, headers)
        if settle:
            self.settle()

    def advance(self, duration: timedelta) -> None:
        """Let time pass, stopping at every due wake on the way."""
        until = self.now + duration
        self.settle()
        while (due := self._next_due(until)) is not None:
            self.now = max(self.now, due)
            self._tick()
            self.settle()
        self.now = until

    def records(self, topic: Topic) -> list[MemoryRecord]:
        """Everything that lies on a topic."""
        return list(self._logs[topic.name])

    def values(self, topic: Topic) -> list[Any]:
        """The parsed JSON values on a public topic."""
        return [record.json() for record in self._logs[topic.name]]

    def state(self, station: str) -> MemoryStore:
        """The rows of a station."""
        return self._stores[station]

    def settle(self) -> None:
        """Have every station read its input to the end, and every open attempt made, until nothing is left to do."""
        while self._run_all() or self._attempt():
            pass

    def _run_all(self) -> bool:
        worked = [self._run(station) for station in self._stations.values()]
        return any(worked)

    def _run(self, station: Station) -> bool:
        worked = False
        for topic in station.inputs:
            read = f"{station.name}<{topic.name}"
            records = self._logs[topic.name][self._read[read] :]
            self._read[read] += len(records)
            for chunk in self._processors[station.name, topic.name].chunks(records):
                self._persist(station, chunk)
            worked |= bool(records)
        return worked

    def _persist(self, station: Station, chunk: Chunk) -> None:
        for emission in chunk.emissions:
            self._emit(emission)
        rows = self._stores[station.name].rows
        for key, value in chunk.rows.items():
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        self._open += [(station, key, number) for key, number in chunk.started]

    def _emit(self, emission: Emission) -> None:
        self._append(emission.topic, emission.key, emission.value, emission.headers)

    def _append(
        self, topic: Topic, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        log = self._logs[topic.name]
        log.append(MemoryRecord(topic.name, len(log), wakes.milliseconds(self.now), key, value, headers))

    def _attempt(self) -> bool:
        """Make the open attempts; their results come back as records."""
        started, self._open = self._open, []
        for station, key, number in started:
            assert station.performer is not None
            attempt = Attempt(key, number, self._stores[station.name], check_lease=lambda: None)
            command = asyncio.run(_await(station.performer.perform(attempt)))
            topic = station.inputs[0]
            self._append(topic, key.encode(), topic.encode(command), [(RESULT, b"%d" % number)])
        return bool(started)

    def _next_due(self, until: datetime) -> datetime | None:
        due = [at for station in self._stations.values() if (at := self._first_due(station, until)) is not None]
        return min(due, default=None)

    def _first_due(self, station: Station, until: datetime) -> datetime | None:
        store = self._stores[station.name]
        position = engine_rows.decode_position(store.read(engine_rows.POSITION))
        first = [
            wakes.parse_due_key(key)[0]
            for waits_for in WaitsFor
            for key in list(wakes.due(store, waits_for, wakes.milliseconds(until), position.fired.get(waits_for)))[:1]
        ]
        return datetime.fromtimestamp(min(first) / 1000, UTC) if first else None

    def _tick(self) -> None:
        """Tick every station that has something due; the frontier is now, since everything put has been read."""
        frontier = b"%d" % wakes.milliseconds(self.now)
        for station in self._stations.values():
            if self._first_due(station, self.now) is not None:
                self._append(station.inputs[0], None, b"", [(TICK, frontier)])


async def _await(result: Any) -> Any:
    return await result
