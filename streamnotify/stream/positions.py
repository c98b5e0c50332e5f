"""Where each source partition is to be read from, and what expired before it was read (DESIGN 3.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from streamnotify.errors import StateError
from streamnotify.stations.context import Station
from streamnotify.stream import dead_letters
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.metrics import LOST
from streamnotify.stream.partitions import Ownership
from streamnotify.stream.writer import Writer

logger = logging.getLogger(__name__)


class Positions:
    """Where reading goes on: after what the state has applied, else at the committed offset, else at the start."""

    def __init__(self, stations: Sequence[Station], config: EngineConfig, ownership: Ownership, writer: Writer) -> None:
        self._config = config
        self._ownership = ownership
        self._writer = writer
        self._stations = {
            config.topic_name(topic.name, internal=topic.internal): station
            for station in stations
            for topic in station.inputs
        }

    async def of(self, assigned: set[TP]) -> Mapping[TP, int]:
        """The offset to go on at, per assigned source partition.

        A stateful partition that is not restored yet is left out: it is asked for again when it is.

        Raises:
            StateError: if records of an internal topic expired before they were read.
        """
        consumer = AIOKafkaConsumer(group_id=self._config.app_id, enable_auto_commit=False, **self._config.client)
        await consumer.start()
        try:
            partitions = [TopicPartition(*tp) for tp in assigned]
            starts = await consumer.beginning_offsets(partitions) if partitions else {}
            positions = {}
            for tp in partitions:
                expected = await self._expected(consumer, tp)
                if expected is not None:
                    positions[TP(*tp)] = await self._not_expired(tp, expected, starts[tp])
            return positions
        finally:
            await consumer.stop()

    async def _expected(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
        station = self._stations[tp.topic]
        if station.rows:
            partition = self._ownership.get(station.name, tp.partition)
            return None if partition is None else partition.applied + 1
        return await consumer.committed(tp) or 0

    async def _not_expired(self, tp: TopicPartition, expected: int, start: int) -> int:
        if start <= expected:
            return expected
        station = self._stations[tp.topic]
        lost = f"lost {expected}..{start - 1}: the records of {tp.topic}[{tp.partition}] expired before they were read"
        if any(topic.internal for topic in station.inputs) and not self._config.deployment_epoch:
            raise StateError(f"{lost}. Raise STREAMNOTIFY_EPOCH to go on without them")
        if expected > 0 or station.rows:
            logger.error(lost)
            LOST.labels(tp.topic).inc(start - expected)
            await self._writer.emit([dead_letters.expired(station, tp, expected, start - 1)], tp.partition, None)
        return start
