"""The test pipeline on a real broker: topics, worker processes, numbers in, and what came of them."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.records import headers_of
from tests.stream import pipeline
from tests.worker_processes import WorkerProcesses

PARTITIONS = 4
ANY_PARTITION = -1  # librdkafka's own word for: by the key
BIG = {"max.message.bytes": "3145728"}
INTERNAL = {**BIG, "message.timestamp.type": "LogAppendTime"}
COMPACTED = {**BIG, "cleanup.policy": "compact"}


class KafkaPipeline(WorkerProcesses):
    """One deployment of the test pipeline under a unique name.

    Args:
        bootstrap_servers: of the broker.
        name: unique on the broker.
        directory: for state and logs.
    """

    def __init__(self, bootstrap_servers: str, name: str, directory: Path, partitions: int = PARTITIONS) -> None:
        super().__init__(bootstrap_servers, name, directory)
        self.name = name
        self.partitions = partitions
        self.expected: collections.Counter[str] = collections.Counter()
        self.admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "partitioner": "murmur2_random",
                "linger.ms": 10,
                "message.max.bytes": 3_145_728,
                "enable.idempotence": True,
            }
        )

    def create_topics(self, **changelog: str) -> None:
        """Create the pipeline's topics; ``changelog`` overrides settings of the changelogs."""
        topics = [(f"{self.name}.{topic}", BIG) for topic in ("numbers", "out", "dead-letters")]
        topics += [(f"{self.name}-{topic}", INTERNAL) for topic in ("counts", "sums")]
        compacted = {**COMPACTED, **{key.replace("_", "."): value for key, value in changelog.items()}}
        topics += [(f"{self.name}-{station}-changelog", compacted) for station in ("counter", "summer")]
        made = self.admin.create_topics([NewTopic(name, self.partitions, 1, config=config) for name, config in topics])
        for future in made.values():
            future.result()

    def start(self, worker: int, **told: Any) -> subprocess.Popen[bytes]:
        """Start a worker; ``told`` is passed on to it (see worker_process)."""
        config = {
            "bootstrap_servers": self.bootstrap_servers,
            "app_id": self.name,
            "data_dir": str(self.data_dir(worker)),
            "partitions": self.partitions,
            **told,
        }
        return self.spawn(worker, [sys.executable, "-m", "tests.stream.worker_process", json.dumps(config)], os.environ)

    def put(self, key: str, *, partition: int | None = None, count: bool = True, **more: Any) -> None:
        """Have a number counted; flush() waits for it.

        It goes straight to the counter: commands of the stateless splitter may be repeated, and counting them is not
        idempotent, as their merging would have to be.
        """
        self._produce(f"{self.name}-counts", pipeline.COUNTS.encode(pipeline.Add(key, **more)), key, partition)
        if count:
            self.expected[key] += int(more.get("n", 1))

    def publish(self, key: str, *, partition: int | None = None, **more: Any) -> None:
        """Publish a number on ``numbers``, which is what the frontier looks at; flush() waits for it."""
        self._produce(f"{self.name}.numbers", pipeline.number(key, **more), None, partition)

    def put_bytes(self, value: bytes | None, *, partition: int | None = None) -> None:
        """Publish a raw value on ``numbers``."""
        self._produce(f"{self.name}.numbers", value, None, partition)

    def _produce(self, topic: str, value: bytes | None, key: str | None, partition: int | None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, ANY_PARTITION if partition is None else partition)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def append(self, topic: str, key: bytes, *, times: int) -> None:
        """Write the same empty record so many times to each partition of a topic, by its full name."""
        for number in range(self.partitions):
            for _ in range(times):
                self._producer.produce(topic, b"", key, partition=number)
        self.flush()

    def flush(self) -> None:
        """Wait until everything put is acked."""
        assert self._producer.flush(60) == 0

    def records(self, topic: str) -> Iterator[Message]:
        """Everything on a topic, by its full name."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"{self.name}-look",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,  # so long the end of a partition takes; half a second by default
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.partitions)])
        ended = 0
        try:
            while ended < self.partitions:
                message = consumer.poll(30)
                assert message is not None, f"{topic} cannot be read"
                if message.error():
                    ended += 1
                else:
                    yield message
        finally:
            consumer.close()

    def out(self) -> list[Any]:
        """The distinct records on ``out``, parsed."""
        distinct = {headers_of(message)["sn-id"]: message.value() for message in self.records(f"{self.name}.out")}
        return [msgspec.json.decode(value or b"null") for value in distinct.values()]

    def dead_letters(self) -> list[tuple[bytes | None, dict[str, str]]]:
        """The distinct dead letters: value and headers."""
        letters = {}
        for message in self.records(f"{self.name}.dead-letters"):
            headers = headers_of(message)
            letters[headers["sn-id"]] = (message.value(), headers)
        return list(letters.values())

    def rows(self, station: str) -> dict[bytes, bytes]:
        """A station's state, as its changelog has it."""
        return {key: value for rows in self.rows_of_each(station) for key, value in rows.items()}

    def rows_of_each(self, station: str) -> list[dict[bytes, bytes]]:
        """The same by partition."""
        rows: list[dict[bytes, bytes | None]] = [{} for _ in range(self.partitions)]
        for message in self.records(f"{self.name}-{station}-changelog"):
            rows[message.partition() or 0][message.key() or b""] = message.value()
        return [{key: value for key, value in each.items() if value is not None} for each in rows]

    def counts(self, station: str) -> dict[str, int]:
        """What a station has counted per key."""
        return {key: n for counts in self.counts_of_each(station) for key, n in counts.items()}

    def counts_of_each(self, station: str) -> list[dict[str, int]]:
        """The same by partition."""
        return [
            {key[1:].decode(): pipeline.COUNT.decode(value) for key, value in rows.items() if key[:1] == b"c"}
            for rows in self.rows_of_each(station)
        ]

    def wait_until_counted(self, seconds: float = 180) -> None:
        """Wait until everything expected is counted, then compare both stations exactly.

        The summer may have it first: what the counter sends goes before its own state, which may have to wait for its
        next owner.
        """
        total = sum(self.expected.values())
        self.wait_for(lambda: sum(self.counts("summer").values()) >= total, seconds, pause=0.5)
        self.wait_for(lambda: sum(self.counts("counter").values()) >= total, seconds, pause=0.5)
        assert self.miscounted("counter") == {}
        assert self.miscounted("summer") == {}

    def miscounted(self, station: str) -> dict[str, tuple[int, int]]:
        """Keys whose count is not the expected one: (counted, expected)."""
        counts = collections.Counter(self.counts(station))
        keys = counts.keys() | self.expected.keys()
        return {key: (counts[key], self.expected[key]) for key in sorted(keys) if counts[key] != self.expected[key]}
