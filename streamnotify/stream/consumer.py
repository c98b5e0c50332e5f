"""How records are read: Faust's consumer with its commits made honest (DESIGN 3.1, 3.2).

Together with fetching.py and takeover.py the only module that touches private parts of Faust.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from mode.services import WaitResults

from streamnotify.stream.fetching import FetchingThread

# A poll of 1 MiB may unpack to gigabytes; handled in one go they would hold up the heartbeat until the lease is lost.
UNPACKED_BYTES = 1 << 20


class MicroBatch:
    """Records of one poll and partition, in the shape of the record Faust expects; its offset is the last one's.

    ``value`` is the list of records.
    """

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "timestamp_type", "topic", "value")
    checksum = None
    serialized_key_size = 0
    serialized_value_size = 0

    def __init__(self, records: list[Any]) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset
        self.timestamp, self.timestamp_type, self.headers = last.timestamp, last.timestamp_type, ()
        self.key, self.value = None, records


class MicroBatches(DefaultSchedulingStrategy):
    """Merges a poll's records per partition, on source topics only: changelogs are recovered record by record."""

    topics: ClassVar[set[str]] = set()

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """The poll's records in the order they are delivered."""
        return super().iterate(
            {tp: list(micro_batches(rs)) if tp.topic in self.topics else rs for tp, rs in records.items()}
        )


def micro_batches(records: Sequence[Any]) -> Iterator[MicroBatch]:
    """The records in batches of at most UNPACKED_BYTES unpacked; one larger than that is alone."""
    start, size = 0, 0
    for at, record in enumerate(records):
        size += len(record.value or b"")
        if size > UNPACKED_BYTES and at > start:
            yield MicroBatch(list(records[start:at]))
            start, size = at, len(record.value or b"")
    if records:
        yield MicroBatch(list(records[start:]))


class _NoReadOffset(defaultdict[TP, Any]):
    """Faust drops records below its read offset and invents gaps above it; without one it does neither."""

    def __getitem__(self, tp: TP) -> None:
        return None


class OrderedCommitConsumer(FaustConsumer):
    """Commits the contiguous prefix of acked messages whatever their offsets, and never polls during a seek.

    Where everything delivered is acked it commits the position, which is further on by the markers of transactions.

    Faust's own bookkeeping assumes one offset per message: with micro-batches it commits one batch per interval, or
    past a batch that was not acked (research/faust.md rules 1 and 2). ``positions`` (set by the engine before the
    start) answers where each assigned source partition is to be read from; every position is sought.
    """

    positions: ClassVar[Callable[[OrderedCommitConsumer, set[TP]], Awaitable[Mapping[TP, int]]]]
    before_revocation: ClassVar[Callable[[], Awaitable[None]]]
    before_assignment: ClassVar[Callable[[], None]]

    _thread: FetchingThread

    def __init__(self, transport: Any, callback: Callable[[Any], Awaitable[None]], *args: Any, **kwargs: Any) -> None:
        self._in_flight: defaultdict[TP, deque[int]] = defaultdict(deque)
        self._delivered: dict[TP, int] = {}  # the last offset of each partition, since it was sought
        self._sought: set[TP] = set()
        self._passed_over: dict[TP, int] = {}
        self._seek_count = self._polled_at_seek = 0
        self.revoked = asyncio.Event()  # from a revocation to the next assignment

        async def deliver(message: Any) -> None:
            if self._polled_at_seek != self._seek_count:
                return  # fetched before a seek
            if self.app.topics.acks_enabled_for(message.topic):
                self._in_flight[message.tp].append(message.offset)
                self._delivered[message.tp] = message.offset
            await callback(message)

        super().__init__(transport, deliver, *args, **kwargs)
        self._read_offset = _NoReadOffset()
        self._fetch_lock = asyncio.Lock()

    def _new_consumer_thread(self) -> FetchingThread:
        return FetchingThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        async with self._fetch_lock:
            self._polled_at_seek = self._seek_count
            return await super()._getmany(active_partitions, timeout)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps of compaction and transaction markers need no bookkeeping here."""

    def _new_offset(self, tp: TP) -> int | None:
        flight, acked, last = self._in_flight[tp], self._acked_index[tp], None
        while flight and flight[0] in acked:
            last = flight.popleft()
        passed_over = None if flight else self._passed_over.get(tp)
        if last is None:
            return passed_over
        self._acked[tp][:] = [offset for offset in self._acked[tp] if offset > last]
        self._acked_index[tp] = set(self._acked[tp])
        return max(last + 1, passed_over or 0)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        yield from (tp for tp in self._passed_over if tp not in self._acked)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """As Faust's, and the position of partitions in which everything delivered is acked."""
        self._passed_over = await self._look_for_passed_over()
        return bool(await super().commit(topics, start_new_transaction))

    async def _look_for_passed_over(self) -> dict[TP, int]:
        """The position of partitions whose reader has passed over what is never delivered, and nothing else is left.

        Where the log starts behind what was delivered, records have expired unread: that gap stays, to be reported.
        """
        count = self._seek_count
        if not self._sought:
            return {}
        found = {
            tp: position
            for tp, (position, handed_over) in (await self._thread.positions(self._sought)).items()
            if handed_over == self._delivered.get(tp)
            and position > max(self._settled(tp), self._committed_offset[tp] or 0)
        }
        if not found:
            return {}
        starts = await self.earliest_offsets(*found)
        if count != self._seek_count:
            return {}
        return {tp: position for tp, position in found.items() if starts[tp] <= self._settled(tp)}

    def _settled(self, tp: TP) -> int:
        """The offset after the last one delivered; where nothing was, the one that is committed."""
        delivered = self._delivered.get(tp)
        return (self._committed_offset[tp] or 0) if delivered is None else delivered + 1

    async def perform_seek(self) -> None:
        """Seek every assigned source partition to where the engine says it must go on."""
        async with self._fetch_lock:
            self._seek_count += 1  # what was fetched is stale
            self._in_flight.clear()
            self._delivered.clear()
            self._sought.clear()
            self._passed_over.clear()
            self._acked.clear()
            self._acked_index.clear()
            positions = await type(self).positions(
                self, {tp for tp in self.assignment() if tp.topic in MicroBatches.topics}
            )
            self._committed_offset.update(positions)
            await self._thread.seek_wait(positions)
            self._sought.update(positions)

    async def committed_offsets(self, partitions: Iterable[TP]) -> dict[TP, int | None]:
        """What the group has committed, per partition; None where it has committed nothing."""
        return {tp: await self._thread.committed(tp) for tp in partitions}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek, with no poll on its way."""
        async with self._fetch_lock:
            self._seek_count += 1
            for tp in partitions:
                self._delivered.pop(tp, None)
            await super().seek_wait(partitions)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Own nothing until it is taken over: Faust now closes the databases of what went to others.

        The group has just answered, too, which is as good as a heartbeat.
        """
        FetchingThread.on_heartbeat()
        self._sought.clear()
        self.revoked.clear()
        type(self).before_assignment()
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let go: attempts first, then what is acked is committed (Faust would forget it)."""
        self.revoked.set()
        await type(self).before_revocation()
        await self.commit()
        self._sought.clear()
        for tp in revoked:
            self._in_flight.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    async def wait_first(self, *waits: Any, timeout: Any = None) -> Any:
        """As mode's, but a delivery that does not have to wait costs one task and not four."""
        if len(waits) != 2 or timeout is not None:
            return await super().wait_first(*waits, timeout=timeout)
        delivery, suspended = asyncio.ensure_future(waits[0]), waits[1]
        await asyncio.sleep(0)
        if not delivery.done():
            return await super().wait_first(delivery, suspended)
        suspended.close()
        return WaitResults([delivery], [delivery.result()], stopped=False)

    async def verify_all_partitions_active(self) -> None:
        """Nothing: Faust's look for stuck partitions crashes on one whose offset is just being reset."""

    def on_buffer_full(self, tp: TP) -> None:
        """Never pause one partition: Faust would then sleep up to 1 s (research/faust.md rule 4)."""

    def highwater(self, tp: TP) -> int:
        """The end offset as last fetched; 0 while unknown (Faust's sensors fail on None)."""
        return super().highwater(tp) or 0
