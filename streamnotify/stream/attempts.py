"""Attempts: what stations start is performed outside the agents; the result comes back as a record (DESIGN 3.10)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from streamnotify.errors import LeaseLost
from streamnotify.stations.context import Attempt, Performer, Station
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import OPEN
from streamnotify.stream.lease import Lease
from streamnotify.stream.metrics import ATTEMPTS_OPEN
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.processor import RESULT
from streamnotify.stream.writer import Writer

logger = logging.getLogger(__name__)

GIVEN_BACK_FOR = 1.0  # seconds before an attempt whose lease was in doubt is looked at again

Crash = Callable[[BaseException], Awaitable[None]]


class AttemptPool:
    """Performs a station's open attempts, as many at once as its performer takes.

    Args:
        station: with a performer.
        ownership: tells whether an attempt's partition is still ours.
        writer: sends results.
        lease: checked before each irrevocable step.
        config: names of topics.
        crash: called when an attempt or its result fails in a way that is no result.
    """

    def __init__(
        self, station: Station, ownership: Ownership, writer: Writer, lease: Lease, config: EngineConfig, crash: Crash
    ) -> None:
        assert station.performer is not None
        self.station = station
        self._performer: Performer = station.performer
        self._ownership = ownership
        self._writer = writer
        self._lease = lease
        self._config = config
        self._crash = crash
        self._waiting: asyncio.Queue[tuple[OwnedPartition, str, int]] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._running = False
        ATTEMPTS_OPEN.labels(station.name).set_function(self._waiting.qsize)

    def resume(self) -> None:
        """Take up the open attempts of the partitions owned now, as soon as each has caught up with its input."""
        if self._running:
            return
        self._running = True
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._performer.at_once)]
        for partition in self._ownership:
            if partition.station is self.station and partition.caught_up:
                self._take_up(partition)

    def on_chunk(self, partition: OwnedPartition, chunk: Chunk) -> None:
        """A chunk has been persisted: perform what it started.

        Until a new owner has read the partition to its end, results of the previous owner may lie there: nothing is
        performed before.
        """
        if not self._running:
            return
        if partition.attempts_run:
            for key, number in chunk.started:
                self._waiting.put_nowait((partition, key, number))
        elif chunk.position.applied >= partition.input_end - 1:
            self._take_up(partition)

    async def suspend(self) -> None:
        """Before partitions are given up: forget what waits, abort what can be, await and report what cannot."""
        self._running = False
        workers, self._workers = self._workers, []
        while not self._waiting.empty():
            self._waiting.get_nowait()
        for worker in workers:
            worker.cancel()
        for worker in workers:
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    def _take_up(self, partition: OwnedPartition) -> None:
        partition.attempts_run = True
        for key, number in partition.store.scan(OPEN, OPEN[:-1] + bytes([OPEN[-1] + 1])):
            self._waiting.put_nowait((partition, key[1:].decode(), int.from_bytes(number, "big")))

    async def _work(self) -> None:
        try:
            while self._running:
                await self._perform(*await self._waiting.get())
        except Exception as exc:  # noqa: BLE001 - whatever it was, the process must end
            await self._crash(exc)

    async def _perform(self, partition: OwnedPartition, key: str, number: int) -> None:
        def check_lease() -> None:
            self._lease.check()
            if not self._owns(partition):
                raise LeaseLost(f"{self.station.name}[{partition.number}] has another owner")

        attempt = Attempt(key, number, partition.store, check_lease)
        try:
            check_lease()
            command = await self._performer.perform(attempt)
        except LeaseLost as lost:
            logger.warning("attempt %d of %s was given back: %s", number, key, lost)
            asyncio.get_running_loop().call_later(GIVEN_BACK_FOR, self._take_again, partition, key, number)
            return
        topic = self.station.inputs[0]
        name = self._config.topic_name(topic)
        sending = self._writer.send_alone(
            name, partition.number, key.encode(), topic.encode(command), (RESULT, b"%d" % number)
        )
        # Cancelling the worker must not lose the result: it is sent before the partition is given up.
        await _finish(asyncio.ensure_future(sending))

    def _owns(self, partition: OwnedPartition) -> bool:
        return self._ownership.get(self.station.name, partition.number) is partition

    def _take_again(self, partition: OwnedPartition, key: str, number: int) -> None:
        """The lease was in doubt but nobody has taken over: the attempt is still ours to make."""
        if self._running and self._owns(partition):
            self._waiting.put_nowait((partition, key, number))


async def _finish(sending: asyncio.Future[int]) -> None:
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        await sending
        raise
