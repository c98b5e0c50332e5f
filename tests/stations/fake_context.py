"""A context and records of dictionaries and lists, enough to run one station."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from streamnotify.stations.context import Due, Station, WaitsFor
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

T = TypeVar("T")
EVERYWHERE = "*"  # stands where the key does
NOW = datetime(2024, 1, 15, 14, 31, tzinfo=UTC)


@dataclass(frozen=True)
class FakeRecord:
    """A record of task-events."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = "task-events"
    partition: int = 3
    offset: int = 42
    timestamp: int = 1_705_329_030_000  # 2024-01-15 14:30:30
    key: bytes | None = None


def a_record(event: Any, **fields: Any) -> FakeRecord:
    """A record whose value is ``event`` as JSON."""
    return FakeRecord(json.dumps(event).encode(), **fields)


@dataclass
class FakeContext:
    """Keeps rows as bytes, as the engine does, and what was emitted as it would arrive."""

    now: datetime = NOW
    rows: dict[bytes, bytes] = field(default_factory=dict)
    wakes: dict[bytes, tuple[Row[Any], str, datetime]] = field(default_factory=dict)
    emitted: list[tuple[Topic, str | bytes | None, Any]] = field(default_factory=list)
    wakes_set: int = 0

    def get(self, row: Row[T], key: str) -> T | None:
        data = self.rows.get(row.key(key))
        return None if data is None else row.decode(data)

    def scan(self, row: Row[T], start: str, stop: str) -> Iterator[tuple[str, T]]:
        keys = sorted((key for key in self.rows if row.key(start) <= key < row.key(stop)), reverse=True)
        return ((key[1:].decode(), row.decode(self.rows[key])) for key in keys)

    def put(self, row: Row[T], key: str, value: T) -> None:
        self.rows[row.key(key)] = row.encode(value)

    def delete(self, row: Row[T], key: str) -> None:
        self.rows.pop(row.key(key), None)

    def wake(self, row: Row[T], key: str, at: datetime | None, *, waits_for: WaitsFor = WaitsFor.BROKER) -> None:
        self.wakes_set += 1
        if at is None:
            self.wakes.pop(row.key(key), None)
        else:
            self.wakes[row.key(key)] = (row, key, at)

    def emit(self, topic: Topic, key: str | bytes | None, command: Any) -> None:
        data = topic.encode(command)
        self.emitted.append((topic, key, json.loads(data) if topic.decode is None else topic.decode(data)))

    def emit_everywhere(self, topic: Topic, command: Any) -> None:
        self.emit(topic, EVERYWHERE, command)

    def start(self, key: str, number: int) -> None:
        raise AssertionError("this station starts no attempts")

    def to(self, topic: Topic) -> list[tuple[str | bytes | None, Any]]:
        """Key and content of all that was emitted to ``topic``."""
        return [(key, command) for emitted_to, key, command in self.emitted if emitted_to is topic]

    def advance(self, station: Station, now: datetime) -> None:
        """Let time pass until ``now``; wakes of rows that are still there are handled as they come due."""
        while due := [wake for wake in self.wakes.values() if wake[2] <= now]:
            row, key, at = min(due, key=lambda wake: wake[2])
            del self.wakes[row.key(key)]
            self.now = max(self.now, at)
            if row.key(key) in self.rows:
                station.handle(Due(row, key, at, self.now), self)
        self.now = max(self.now, now)
