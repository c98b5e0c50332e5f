"""Ticks replace timers: where a wake is due, one record is sent to that partition (DESIGN 3.9)."""

from __future__ import annotations

import asyncio
import time

from streamnotify.stations.context import WaitsFor
from streamnotify.stream import engine_rows, wakes
from streamnotify.stream.clock import BrokerClock
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.metrics import TICKS
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.processor import TICK
from streamnotify.stream.writer import Writer

INTERVAL = 1.0  # seconds


class Ticker:
    """Looks at the first due wake of each owned partition every second.

    Whether a tick is worth sending is judged on our own clock; what it does, on the time the broker gives it.
    """

    def __init__(self, ownership: Ownership, writer: Writer, config: EngineConfig, clock: BrokerClock) -> None:
        self._ownership = ownership
        self._clock = clock
        self._writer = writer
        self._config = config

    async def run(self) -> None:
        """Tick for ever; raises EngineFailure if a tick cannot be sent."""
        while True:
            await asyncio.sleep(INTERVAL)
            for partition in self._ownership:
                await self._tick(partition)

    async def _tick(self, partition: OwnedPartition) -> None:
        position = engine_rows.decode_position(partition.store.read(engine_rows.POSITION))
        if position.applied < partition.tick_offset:
            return  # one is on its way
        now_ms = int(time.time() * 1000)
        fired = position.fired.get(WaitsFor.BROKER)
        none_due = next(wakes.due(partition.store, WaitsFor.BROKER, now_ms, fired), None) is None
        if none_due and not self._clock.skewed:  # a tick also tells the broker's time
            return
        topic = partition.station.inputs[0]
        name = self._config.topic_name(topic)
        sent = await self._writer.send_alone(name, partition.number, None, b"", (TICK, b""))
        partition.tick_offset = sent.offset
        self._clock.observe(sent.timestamp)
        TICKS.labels(partition.station.name).inc()
