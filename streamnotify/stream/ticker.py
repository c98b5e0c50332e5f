"""Ticks replace timers: where a wake is due, one record is sent to that partition (DESIGN 3.9)."""

from __future__ import annotations

import asyncio
import contextlib
import time

from streamnotify.stations.context import WaitsFor
from streamnotify.stream import engine_rows, wakes
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.clock import BrokerClock
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.metrics import TICKS
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.processor import TICK
from streamnotify.stream.writer import Writer

INTERVAL = 1.0  # seconds


class Ticker:
    """Looks at the first due wakes of each owned partition: every second, when a tick is applied, when told to.

    Whether a tick is worth sending is judged on what we know of the broker's time (our own clock until then); what it
    does, on the time the broker gives it and on the frontier it carries. A tick is sent after the frontier's note was
    met, so that it lies behind everything that the note saw.

    Args:
        ownership: the partitions.
        writer: sends ticks.
        config: names of topics.
        clock: is told the broker's time.
    """

    def __init__(self, ownership: Ownership, writer: Writer, config: EngineConfig, clock: BrokerClock) -> None:
        self._ownership = ownership
        self._clock = clock
        self._writer = writer
        self._config = config
        self._frontier: int | None = None
        self._looking = asyncio.Event()

    async def run(self) -> None:
        """Tick for ever; raises EngineFailure if a tick cannot be sent."""
        regular_at = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._looking.wait(), max(regular_at - time.monotonic(), 0.001))
            self._looking.clear()
            regular = time.monotonic() >= regular_at
            if regular:
                regular_at = time.monotonic() + INTERVAL
            for partition in self._ownership:
                await self._tick(partition, regular=regular)

    def advance(self, frontier_ms: int | None) -> None:
        """The frontier has moved, or is not known any more: look what waits for it."""
        self._frontier = frontier_ms
        self._looking.set()

    def on_chunk(self, partition: OwnedPartition, chunk: Chunk) -> None:
        """A chunk has been persisted: if the tick was in it, more may be due than it could take."""
        if chunk.position.applied >= partition.tick_offset >= 0:
            partition.tick_offset = -1
            self._looking.set()

    async def _tick(self, partition: OwnedPartition, *, regular: bool) -> None:
        if not partition.station.has_clock:
            return
        position = engine_rows.decode_position(partition.store.read(engine_rows.POSITION))
        if position.applied < partition.tick_offset:
            return  # one is on its way
        telling = regular and (self._clock.skewed or self._clock.wants_observation)
        if not telling and not self._is_due(partition, position.fired):
            return
        topic = partition.station.inputs[0]
        name = self._config.topic_name(topic)
        mark = (TICK, b"" if self._frontier is None else b"%d" % self._frontier)
        sent = await self._writer.send_alone(name, partition.number, None, b"", mark)
        partition.tick_offset = sent.offset
        self._clock.observe(sent.timestamp)
        TICKS.labels(partition.station.name).inc()
        if self._ownership.get(partition.station.name, partition.number) is not partition:
            return  # given up meanwhile, and its database is closed
        if partition.applied >= sent.offset:  # it was read before its ack
            self._looking.set()

    def _is_due(self, partition: OwnedPartition, fired: dict[int, bytes]) -> bool:
        now = self._clock.now
        until = {WaitsFor.BROKER: int((time.time() if now is None else now) * 1000), WaitsFor.FRONTIER: self._frontier}
        return any(
            next(wakes.due(partition.store, clock, ms, fired.get(clock)), None) is not None
            for clock, ms in until.items()
            if ms is not None
        )
