"""Fencing at the log, on a real broker: who may still write, and what becomes of repeated and lost batches.

The fence touches ``AIOKafkaProducer._txn_manager`` and ``BatchBuilder._set_producer_state`` of aiokafka.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, ProducerFenced
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import BARRIER
from streamnotify.stream.fence import SEQUENCES, Fence, take_fence
from streamnotify.stream.writer import key_hash, new_producer
from tests.stream.kafka_pipeline import KafkaPipeline

# Kafka protocol, record batch v2: producerId, producerEpoch, baseSequence, records count.
PRODUCER_AT, PRODUCER = 43, struct.Struct(">qhii")


class Log:
    """One changelog partition and a producer."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, bootstrap_servers: str) -> None:
        self.producer = producer
        self.topic = topic
        self._bootstrap_servers = bootstrap_servers

    async def fence(self) -> Fence:
        """Take the fence of the partition."""
        client = {"bootstrap_servers": self._bootstrap_servers}
        return await take_fence(f"{self.topic}-0", self.topic, 0, self.producer, client)

    async def write(self, fence: Fence, *values: bytes) -> int:
        """Append one batch under a fence; its first offset."""
        batch = self.producer.create_batch()
        for value in values:
            batch.append(key=b"k", value=value, timestamp=None)
        fence.stamp(batch, self.topic, 0)
        return int((await (await self.producer.send_batch(batch, self.topic, partition=0))).offset)


@pytest.fixture
def on_a_log(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> Callable[[Callable[[Log], Awaitable[None]]], list[Any]]:
    """Runs a scenario on a new log and returns what then lies in it: ``(key, value)``."""
    topic = f"fence-{unique}"

    def run(scenario: Callable[[Log], Awaitable[None]]) -> list[Any]:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()

        async def main() -> None:
            producer = new_producer(EngineConfig(kafka.bootstrap_servers, "fence", tmp_path))
            await producer.start()
            try:
                await scenario(Log(producer, topic, kafka.bootstrap_servers))
            finally:
                await producer.stop()

        asyncio.run(main())
        deployment = KafkaPipeline(kafka.bootstrap_servers, topic, tmp_path, partitions=1)
        return [(message.key(), message.value()) for message in deployment.records(topic)]

    return run


def values(log: list[Any]) -> list[bytes]:
    """Without the barriers."""
    return [value for key, value in log if key != BARRIER]


def test_a_fence_is_in_the_bytes_of_the_batch() -> None:
    """Id, epoch and first sequence; the next batch goes on counting, per destination."""

    async def scenario() -> list[tuple[int, ...]]:
        producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
        fence, found = Fence(producer_id=4711, epoch=7), []
        for topic, count in (("a", 2), ("a", 3), ("b", 1), ("a", 1)):
            batch = producer.create_batch()
            for _ in range(count):
                batch.append(key=b"k", value=b"v", timestamp=None)
            fence.stamp(batch, topic, 0)
            found.append(PRODUCER.unpack_from(bytes(batch._build()), PRODUCER_AT))
        return found

    assert asyncio.run(scenario()) == [(4711, 7, 0, 2), (4711, 7, 2, 3), (4711, 7, 0, 1), (4711, 7, 5, 1)]


def test_nothing_can_be_added_to_a_stamped_batch() -> None:
    """aiokafka's own ``send`` would, and its records would not be in the sequence."""

    async def scenario() -> Any:
        batch = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1").create_batch()
        batch.append(key=b"k", value=b"v", timestamp=None)
        Fence(1, 1).stamp(batch, "a", 0)
        return batch.append(key=b"k", value=b"v", timestamp=None)

    assert asyncio.run(scenario()) is None


def test_whoever_was_replaced_is_refused(on_a_log: Any) -> None:
    """Also if its batch was never seen before, and whatever its sequence."""

    async def scenario(log: Log) -> None:
        old = await log.fence()
        await log.write(old, b"old")
        new = await log.fence()
        assert (new.producer_id, new.epoch) == (old.producer_id, old.epoch + 1)
        with pytest.raises(ProducerFenced):
            await log.write(old, b"late")
        await log.write(new, b"new")

    log = on_a_log(scenario)
    assert values(log) == [b"old", b"new"]
    assert [key for key, _ in log].count(BARRIER) == 2


def test_a_repeated_batch_is_acked_and_dropped(on_a_log: Any) -> None:
    """A retry after an answer that got lost."""

    async def scenario(log: Log) -> None:
        fence = await log.fence()
        before = dict(fence._sequences)
        first = await log.write(fence, b"a", b"b")
        fence._sequences = before
        assert await log.write(fence, b"a", b"b") == first
        await log.write(fence, b"c")

    assert values(on_a_log(scenario)) == [b"a", b"b", b"c"]


def test_a_batch_after_a_lost_one_is_refused(on_a_log: Any) -> None:
    """Else a chunk could be missing in the middle of the changelog."""

    async def scenario(log: Log) -> None:
        fence = await log.fence()
        await log.write(fence, b"a")
        fence._sequences[log.topic, 0] += 3  # as if a batch of three had been sent and lost
        with pytest.raises(OutOfOrderSequenceNumber):
            await log.write(fence, b"later")

    assert values(on_a_log(scenario)) == [b"a"]


def test_the_sequence_wraps_as_the_broker_expects(on_a_log: Any) -> None:
    """At 2**31, within a batch and between two."""

    async def scenario(log: Log) -> None:
        taken = await log.fence()
        fence = Fence(taken.producer_id + 1_000_000, 0)  # unknown to the broker: it takes any first sequence
        fence._sequences[log.topic, 0] = SEQUENCES - 3
        await log.write(fence, b"a", b"b")
        await log.write(fence, b"c", b"d", b"e")
        assert fence._sequences[log.topic, 0] == 1  # a: 2**31 - 4 ... d: 2**31 - 1, e: 0
        await log.write(fence, b"f")
        fence._sequences[log.topic, 0] = SEQUENCES
        with pytest.raises(KafkaError):
            await log.write(fence, b"g")

    assert values(on_a_log(scenario)) == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_a_fence_is_renewed_daily() -> None:
    """Brokers forget a producer id after seven days without use."""
    fence = Fence(1, 1)
    assert not fence.wants_renewal
    fence._taken_at -= 24 * 3600 + 1
    assert fence.wants_renewal


def test_topics_are_partitioned_as_java_clients_do() -> None:
    """The same key lies in the same partition whoever sent it (rule 15); values of Kafka's own tests of murmur2."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert {key: key_hash(key) for key in known} == {key: value & 0x7FFFFFFF for key, value in known.items()}
