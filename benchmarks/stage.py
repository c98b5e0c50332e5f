"""The ground all are measured on: one broker of our own, topics, records on them, and processes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.children import BenchmarkFailed, Children
from benchmarks.report import Report
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.wire.topic_layout import TopicLayout

PARTITIONS = 4
BROKER_HEAP = "1g"
FLUSH_TIMEOUT = 60.0  # seconds for the broker to take what was published


class Stage:
    """A broker, fully compiled, in a temporary directory; everything is gone at the end of the block.

    Args:
        quix_python: a Python that has Quix Streams; need not exist.
        report: told what is going on.
    """

    def __init__(self, quix_python: Path, report: Report) -> None:
        self.quix_python = quix_python
        self._report = report
        self._parts = ExitStack()
        self.directory = Path()

    def __enter__(self) -> Self:
        with self._parts as parts:
            self._report.say("starting a broker")
            self.directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="streamnotify-bench-")))
            kafka = EmbeddedKafka(compile_fully=True, heap=BROKER_HEAP, overrides={"log.segment.bytes": "268435456"})
            self.bootstrap_servers = parts.enter_context(kafka).bootstrap_servers
            self.children = parts.enter_context(Children(self.directory))
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def create_topics(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Create topics of PARTITIONS partitions; ``settings`` are those of each, by its name."""
        new = [NewTopic(name, PARTITIONS, 1, config=dict(config)) for name, config in settings.items()]
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        for created in admin.create_topics(new).values():
            created.result()

    def apply(self, layouts: tuple[TopicLayout, ...]) -> None:
        """Create a deployment's topics."""
        TopicAdmin(self.bootstrap_servers).apply(layouts)

    def publish(self, topic: str, records: Iterable[tuple[str, bytes]]) -> int:
        """Publish keys and values, as fast as the broker takes them; returns how many."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 20,
                "batch.size": 262_144,
                "queue.buffering.max.messages": 200_000,
            }
        )
        began, count = time.monotonic(), 0
        for key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key=key)
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
            if count % 1000 == 0:
                producer.poll(0)
                self._report.progress(f"{count:,} events published")
        if producer.flush(FLUSH_TIMEOUT):
            raise BenchmarkFailed(f"the broker did not take everything published on {topic}")
        self._report.say(f"{count:,} events published on {topic} in {time.monotonic() - began:.1f} s")
        return count

    def end_offsets(self, topic: str) -> int:
        """The sum of the end offsets of a topic's partitions."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": "bench-look"})
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            return sum(consumer.get_watermark_offsets(partition, timeout=15)[1] for partition in partitions)
        finally:
            consumer.close()
