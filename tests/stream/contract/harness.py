"""What the contract suite needs of an engine, and the in-memory and the real one behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec
from confluent_kafka import Producer

from streamnotify.stream.layers import RECORD_ID
from streamnotify.testing.memory import MemoryEngine, MemoryRecord
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import DEAD_LETTERS, Topic
from tests.stream import pipeline
from tests.stream.kafka_pipeline import KafkaPipeline

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Logged:
    """A record as it lies on a topic."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Harness(Protocol):
    """An engine that runs the test pipeline, all keys in one partition of each internal topic.

    State is shared by the tests on one engine: each uses keys of its own, made with ``key``. ``partitions`` is how many
    each topic has.
    """

    partitions: int

    def key(self, name: str) -> str:
        """A key that no other test uses and that ends with ``name``."""

    def put(
        self, topic: Topic, value: Any, *, key: str | None = None, headers: Headers = (), partition: int = 0
    ) -> None:
        """Append a record: bytes as they are, anything else encoded for the topic; ``partition`` of an internal one."""

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Let the engine work and time pass until the condition holds; fail if it does not within so long."""

    def log(self, topic: Topic) -> list[Logged]:
        """Everything on a topic, repetitions too, in the order of partition and offset."""

    def rows_of_each(self, station: str, row: Row[Any]) -> list[dict[str, Any]]:
        """A station's persisted rows of one kind, by partition and key."""


class Contract:
    """A harness with the questions the tests ask."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.key, self.put, self.until = harness.key, harness.put, harness.until
        self.log, self.rows_of_each = harness.log, harness.rows_of_each
        self.partitions = harness.partitions

    def rows(self, station: str, row: Row[Any]) -> dict[str, Any]:
        """A station's persisted rows of one kind, by key."""
        return {key: value for rows in self.rows_of_each(station, row) for key, value in rows.items()}

    def add(self, key: str, *, headers: Headers = (), **more: Any) -> None:
        """Have the counter do something with a key."""
        self.put(pipeline.COUNTS, pipeline.Add(key, **more), key=key, headers=headers)

    def number(self, key: str, **more: Any) -> None:
        """Publish a number, for the splitter."""
        self.put(pipeline.NUMBERS, pipeline.number(key, **more), key=key)

    def counted(self, key: str, station: str = "summer") -> int:
        """How much a station has counted for a key."""
        return int(self.rows(station, pipeline.COUNT).get(key, 0))

    def counted_in_each(self, key: str, station: str = "summer") -> list[int]:
        """How much each partition of a station has counted for a key."""
        return [int(rows.get(key, 0)) for rows in self.rows_of_each(station, pipeline.COUNT)]

    def settled(self, *keys: str, n: int = 1) -> None:
        """Wait until the summer has counted ``n`` for each key; everything put before has then been handled."""
        self.until(lambda: all(self.counted(key) >= n for key in keys))

    def pass_seconds(self, seconds: float) -> None:
        """Let at least so much time pass, as the engine's clock counts it."""
        marker = self.key(f"marker {seconds}")
        self.add(marker, wake_in=seconds)
        self.until(lambda: self.said("woke", marker) != [], seconds + 30)

    def said(self, what: str, *keys: str) -> list[dict[str, Any]]:
        """The distinct records on ``out`` that say ``what`` of these keys, in the order they were made."""
        return [said for _, said in self._distinct_out() if said.get(what) in keys]

    def _distinct_out(self) -> list[tuple[Any, dict[str, Any]]]:
        distinct: dict[Any, dict[str, Any]] = {}
        for record in self.log(pipeline.OUT):
            *_, offset, index = record.headers[RECORD_ID].split(b"/")
            distinct[int(offset), int(index)] = msgspec.json.decode(record.value or b"")
        return sorted(distinct.items(), key=lambda item: item[0])

    def dead_letters(self, key: str) -> list[Logged]:
        """The distinct dead letters of a key's records, or of wakes whose failure names the key."""
        return list(
            {
                record.headers[RECORD_ID]: record
                for record in self.log(DEAD_LETTERS)
                if record.key == key.encode() or key in record.headers["sn-reason"].decode()
            }.values()
        )


class MemoryHarness:
    """The in-memory engine. Time passes in ticks of one second."""

    partitions = 1

    def __init__(self) -> None:
        self._engine = MemoryEngine(pipeline.stations())

    def key(self, name: str) -> str:
        """See Harness."""
        return name

    def put(
        self, topic: Topic, value: Any, *, key: str | None = None, headers: Headers = (), partition: int = 0
    ) -> None:
        """See Harness; nothing is read before ``until``, so that what is put together is one micro-batch."""
        data = value if value is None or isinstance(value, bytes) else topic.encode(value)
        self._engine.put(topic, data, key=None if key is None else key.encode(), headers=headers, settle=False)

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """See Harness."""
        self._engine.settle()
        for _ in range(int(seconds) + 1):
            if condition():
                return
            self._engine.advance(timedelta(seconds=1))
        raise AssertionError(f"did not come true within {seconds} s")

    def log(self, topic: Topic) -> list[Logged]:
        """See Harness."""
        return [_logged(record) for record in self._engine.records(topic)]

    def rows_of_each(self, station: str, row: Row[Any]) -> list[dict[str, Any]]:
        """See Harness."""
        return [self._engine.state(station).items(row)]


def _logged(record: MemoryRecord) -> Logged:
    headers = dict(record.headers)
    return Logged(record.partition, record.offset, record.timestamp, record.key, record.value, headers)


class KafkaHarness:
    """One worker on a real broker."""

    def __init__(self, deployment: KafkaPipeline, test: str) -> None:
        self._deployment = deployment
        self._test = test
        self.partitions = deployment.partitions
        self._producer = Producer(
            {
                "bootstrap.servers": deployment.bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "message.max.bytes": 3_000_000,
            }
        )

    def key(self, name: str) -> str:
        """See Harness; the test's name comes last but for ``name``'s own first word, which may mean something."""
        return f"{name} {self._test}"

    def put(
        self, topic: Topic, value: Any, *, key: str | None = None, headers: Headers = (), partition: int = 0
    ) -> None:
        """See Harness; sent for good by ``until``."""
        data = value if value is None or isinstance(value, bytes) else topic.encode(value)
        more: dict[str, Any] = {"partition": partition} if topic.internal else {}
        more["headers"] = list(headers)
        self._producer.produce(self._name(topic), data, key=None if key is None else key.encode(), **more)

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """See Harness."""
        assert self._producer.flush(30) == 0
        self._deployment.wait_for(condition, seconds)

    def log(self, topic: Topic) -> list[Logged]:
        """See Harness."""
        records: Iterable[Any] = self._deployment.records(self._name(topic))
        logged = [
            Logged(
                message.partition(),
                message.offset(),
                message.timestamp()[1],
                message.key(),
                message.value(),
                dict(message.headers() or ()),
            )
            for message in records
        ]
        return sorted(logged, key=lambda record: (record.partition, record.offset))

    def rows_of_each(self, station: str, row: Row[Any]) -> list[dict[str, Any]]:
        """See Harness."""
        return [
            {key[1:].decode(): row.decode(value) for key, value in rows.items() if key[:1] == row.kind}
            for rows in self._deployment.rows_of_each(station)
        ]

    def _name(self, topic: Topic) -> str:
        return f"{self._deployment.name}{'-' if topic.internal else '.'}{topic.name}"
