"""Fencing at the log: a late writer is refused by the broker itself (DESIGN 3.6).

A producer id with its epoch is taken for each partition a worker owns; taking it again raises the epoch, and from then
on the broker refuses every batch that carries an older one, a batch that follows a lost one, and drops a repeated one.
The only module that touches aiokafka's transaction manager and ``BatchBuilder._set_producer_state``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from streamnotify.stream.engine_rows import BARRIER

SEQUENCES = 0x7FFFFFFF  # sequence numbers wrap after this (Kafka protocol, RecordBatch.baseSequence)
RENEW_AFTER = 24 * 3600.0  # seconds; brokers forget producer ids after 7 days without use (transactional.id.expiration)


class Fence:
    """The right to write for one partition of one station, until somebody else takes it.

    Args:
        producer_id: id and ...
        epoch: ... epoch that every batch carries.
        barrier: offset of its barrier on the changelog; set when that is acked.
    """

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.barrier = -1
        self._taken_at = time.monotonic()
        self._sequences: dict[tuple[str, int], int] = {}

    @property
    def wants_renewal(self) -> bool:
        """Whether a new epoch should be taken at the next chunk boundary."""
        return time.monotonic() - self._taken_at > RENEW_AFTER

    def stamp(self, batch: BatchBuilder, topic: str, partition: int) -> None:
        """Close a batch and give it this fence and the destination's next sequence numbers.

        Batches must be sent to their destination in the order they were stamped.
        """
        batch.close()  # or AIOKafkaProducer.send() could add records to it, which the sequence would not count
        sequence = self._sequences.get((topic, partition), 0)
        batch._set_producer_state(self.producer_id, self.epoch, sequence)
        self._sequences[topic, partition] = (sequence + batch.record_count()) & SEQUENCES


async def take_fence(
    transactional_id: str, changelog: str, partition: int, producer: AIOKafkaProducer, client: Mapping[str, Any]
) -> Fence:
    """Fence off whoever wrote for this partition before, and mark the changelog.

    Args:
        transactional_id: ``<app>-<station>-<partition>``.
        changelog: name of the station's changelog topic.
        partition: the partition.
        producer: sends the barrier row.
        client: arguments of the short-lived transactional producer (bootstrap_servers, security).

    Raises:
        aiokafka.errors.KafkaError: if the broker refuses or cannot be reached.
    """
    transactional = AIOKafkaProducer(transactional_id=transactional_id, **client)
    try:
        await transactional.start()
        manager = transactional._txn_manager
        fence = Fence(manager.producer_id, manager.producer_epoch)
    finally:
        await transactional.stop()
    batch = producer.create_batch()
    batch.append(key=BARRIER, value=b"%d" % fence.epoch, timestamp=None)
    fence.stamp(batch, changelog, partition)
    fence.barrier = (await (await producer.send_batch(batch, changelog, partition=partition))).offset
    return fence
