"""One lane per partition: partitions wait for their acks side by side, each in order (research/latency.md A)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faust.types import TP

from streamnotify.errors import EngineFailure
from streamnotify.stations.context import Record, Station
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.clock import BrokerClock
from streamnotify.stream.layers import Store
from streamnotify.stream.metrics import CHUNK_SECONDS, RECORDS
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.positions import Positions
from streamnotify.stream.processor import Processor
from streamnotify.stream.writer import Writer

logger = logging.getLogger(__name__)

QUEUED_BATCHES = 4  # per lane; a full lane holds up the one fetch loop, which is the back-pressure

ChunkDone = Callable[[OwnedPartition, Chunk], None]


class Lanes:
    """The body of a station's Faust agent.

    Args:
        station: whose records flow here.
        ownership: where a stateful station's partitions are found.
        writer: persists chunks.
        stateless: makes the processor of a partition of a stateless station's inputs; offsets, and with them the
            identities of emissions, are an input's own.
        renew: takes a new fence for a partition.
        done: told of every persisted chunk of a stateful station.
        crash: ends the engine.
        positions: tells whether offsets that are missing expired unread.
        clock: pauses the station while the broker's clock is too far from ours.
    """

    def __init__(
        self,
        station: Station,
        ownership: Ownership,
        writer: Writer,
        stateless: Callable[[TP], Processor],
        renew: Callable[[OwnedPartition], Awaitable[None]],
        done: ChunkDone,
        crash: Callable[[BaseException], Awaitable[None]],
        positions: Positions,
        clock: BrokerClock,
    ) -> None:
        self._station = station
        self._ownership = ownership
        self._writer = writer
        self._stateless = stateless
        self._renew = renew
        self._done = done
        self._crash = crash
        self._positions = positions
        self._clock = clock
        self._expected: dict[TP, tuple[int, int]] = {}  # generation, and the offset after the last one read

    async def run(self, stream: Any) -> None:
        """Deal the stream's micro-batches to lanes; a lane that fails crashes the app.

        Acks come last of all, explicitly: with ``noack`` a failing batch stays uncommitted (research/faust.md rule 7).
        """
        lanes: dict[int, asyncio.Queue[Any]] = {}
        tasks: list[asyncio.Task[None]] = []
        try:
            async for event in stream.noack().events():
                number = event.message.partition
                if number not in lanes:
                    lanes[number] = asyncio.Queue(QUEUED_BATCHES)
                    tasks.append(asyncio.create_task(self._lane(stream, lanes[number])))
                await lanes[number].put(event)
        finally:
            for task in tasks:
                task.cancel()

    async def _lane(self, stream: Any, queue: asyncio.Queue[Any]) -> None:
        app = stream.app
        try:
            while True:
                event = await queue.get()
                if event.message.generation_id != app.consumer_generation_id:
                    app.consumer.unacked.discard(event.message)  # from before a rebalance: it will be read again
                    continue
                await self._apply_then_ack(stream, event)
        except Exception as exc:  # noqa: BLE001 - a lane is outside the agent's supervisor
            await self._crash(exc)

    async def _apply_then_ack(self, stream: Any, event: Any) -> None:
        """Only what is persisted is acked, and only what is acked is committed."""
        await self._look_for_gap(stream.app.consumer, event.message)
        await self._apply(event.message.tp, event.value)
        await stream.ack(event)

    async def _look_for_gap(self, consumer: Any, batch: Any) -> None:
        """Where offsets are missing, see whether they expired unread (compaction and transaction markers are fine)."""
        expected = self._expected.get(batch.tp, (None, 0))
        first = batch.value[0].offset
        if expected[0] == batch.generation_id and first > expected[1]:
            await self._positions.not_expired(consumer, {batch.tp: expected[1]})
        await self._positions.tell_loss(batch.tp, batch.value[0].timestamp)
        self._expected[batch.tp] = batch.generation_id, batch.offset + 1

    async def _apply(self, source: TP, records: Sequence[Record]) -> None:
        began = time.perf_counter()
        if not self._station.rows:
            for chunk in self._stateless(source).chunks(records):
                await self._writer.persist(chunk, source.partition, None, None)
                await asyncio.sleep(0)
        else:
            await self._apply_stateful(source.partition, records)
        RECORDS.labels(self._station.name).inc(len(records))
        CHUNK_SECONDS.labels(self._station.name).observe(time.perf_counter() - began)

    async def _apply_stateful(self, number: int, records: Sequence[Record]) -> None:
        partition = self._ownership.get(self._station.name, number)
        if partition is None:
            raise EngineFailure(f"records of {self._station.name}[{number}] came without its state")
        self._clock.observe_past(records[-1].timestamp)
        await self._clock.wait()
        for chunk in partition.processor.chunks(records):
            if partition.fence.wants_renewal:
                await self._renew(partition)
            await self._writer.persist(chunk, number, partition.fence, partition.store)
            self._done(partition, chunk)


class NoStore:
    """The store of a station that keeps nothing."""

    def read(self, key: bytes) -> bytes | None:
        """Nothing is there."""
        return None

    def scan(self, start: bytes, stop: bytes) -> Any:
        """Nothing is there."""
        return iter(())

    def scan_back(self, start: bytes, stop: bytes) -> Any:
        """Nothing is there."""
        return iter(())


NO_STORE: Store = NoStore()
