"""Where each source partition is to be read from, and what expired before it was read (DESIGN 3.2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from faust.types import TP

from streamnotify.errors import StateError
from streamnotify.stations.context import Station
from streamnotify.stream import dead_letters
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import OrderedCommitConsumer
from streamnotify.stream.layers import Emission
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
        self._stations = {config.topic_name(topic): station for station in stations for topic in station.inputs}
        self._untold: set[TP] = set()  # partitions of which records were lost, and how old they were is not known yet

    async def of(self, consumer: OrderedCommitConsumer, assigned: set[TP]) -> Mapping[TP, int]:
        """The offset to go on at, per assigned source partition.

        A stateful partition that is not restored yet is left out: it is asked for again when it is.

        Raises:
            StateError: if records of an internal topic expired before they were read.
        """
        stateless = {tp for tp in assigned if not self._stations[tp.topic].rows}
        expected = {tp: offset or 0 for tp, offset in (await consumer.committed_offsets(stateless)).items()}
        for tp in assigned - stateless:
            partition = self._ownership.get(self._stations[tp.topic].name, tp.partition)
            if partition is not None:
                expected[tp] = partition.applied + 1
        return await self.not_expired(consumer, expected)

    async def not_expired(self, consumer: OrderedCommitConsumer, expected: Mapping[TP, int]) -> Mapping[TP, int]:
        """``expected``, or the logs' starts where what lay before is gone; a loss is never passed over in silence.

        Raises:
            StateError: if records of an internal topic expired before they were read.
        """
        if not expected:
            return {}
        starts, ends = await consumer.earliest_offsets(*expected), await consumer.highwaters(*expected)
        return {tp: await self._go_on_at(tp, offset, starts[tp], ends[tp]) for tp, offset in expected.items()}

    async def _go_on_at(self, tp: TP, expected: int, start: int, end: int) -> int:
        if start <= expected <= end:
            return expected
        station = self._stations[tp.topic]
        if expected > end:  # with state it is noticed before, see topic_ids.py
            logger.error("%s[%d] ends at %d, before %d was read: it was created anew or truncated", *tp, end, expected)
            return start
        if any(topic.internal for topic in station.inputs) and not self._config.deployment_epoch:
            raise StateError(
                f"lost {expected}..{start - 1}: these records of {tp.topic}[{tp.partition}] expired before they were "
                "read. Raise STREAMNOTIFY_EPOCH to go on without them"
            )
        if expected > 0 or station.rows:  # a group that is new to an old topic has lost nothing
            logger.error("lost %d..%d of %s[%d]: expired before they were read", expected, start - 1, *tp)
            LOST.labels(tp.topic).inc(start - expected)
            await self._writer.emit([dead_letters.expired(station, tp, expected, start - 1)], tp.partition, None)
            self._untold.add(tp)
            if start == end:
                await self.tell_loss(tp, int(time.time() * 1000))
        return start

    async def tell_loss(self, tp: TP, until_ms: int) -> None:
        """If records of the partition were lost, tell those concerned; nothing published from ``until_ms`` on was.

        Args:
            until_ms: a record's timestamp, which may be any number: publishers set it.
        """
        if tp not in self._untold:
            return
        self._untold.discard(tp)
        loss = self._stations[tp.topic].loss
        if loss is None:
            return
        topic, command = loss(datetime.fromtimestamp(min(max(until_ms / 1000, 0.0), time.time()), UTC))
        everybody = Emission(topic, None, topic.encode(command), [], everywhere=True)
        await self._writer.emit([everybody], tp.partition, None)
