"""How a chunk is persisted."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import rocksdict
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from streamnotify.errors import EngineFailure
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.fence import Fence
from streamnotify.stream.layers import Emission
from streamnotify.stream.store import PartitionStore

RECORD_BATCH_BYTES = 1_100_000  # of one record batch: a chunk's 800 KB and its records' overhead; topics allow 2 MiB
REQUEST_BYTES = 3 << 20  # of one record: a dead letter carries a record of up to 2 MiB and its headers
REQUEST_TIMEOUT_MS = 30_000  # a send that is not acked by then ends the process (DESIGN 3.12)


def new_producer(config: EngineConfig) -> AIOKafkaProducer:
    """The engine's producer, not started: it waits for all in-sync replicas and never lingers."""
    return AIOKafkaProducer(
        acks="all",
        linger_ms=0,
        max_batch_size=RECORD_BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **config.client,
    )


@functools.lru_cache(maxsize=100_000)
def key_hash(key: bytes) -> int:
    """The hash Kafka's default partitioner takes of a key; murmur2 in Python costs 10 us, hence the cache."""
    return int(murmur2(key)) & 0x7FFFFFFF


class Writer:
    """Sends emissions and persists chunks.

    Args:
        producer: acks from all in-sync replicas, no linger.
        config: names of topics.
        check_pulse: raises LeaseLost if this process was frozen and may have been replaced without noticing.
    """

    def __init__(self, producer: AIOKafkaProducer, config: EngineConfig, check_pulse: Callable[[], None]) -> None:
        self._producer = producer
        self._config = config
        self._check_pulse = check_pulse
        self._partitions: dict[str, int] = {}
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def persist(self, chunk: Chunk, source: int, fence: Fence | None, store: PartitionStore | None) -> None:
        """Persist a chunk of partition ``source``; the caller then acks its records.

        1. emit, and await every ack: a crash here sends the same records again, which the receivers drop;
        2. the changelog, in one record batch, and await its ack: from here on the chunk has happened;
        3. RocksDB, in one write with the changelog's offset: a crash before it is mended by the restore.

        Args:
            fence: of the partition; None for a stateless station.
            store: likewise.

        Raises:
            LeaseLost: this process slept too long to be sure that it still owns the partition.
            EngineFailure: the broker refused a batch or did not answer.
        """
        await self.emit(chunk.emissions, source, fence)
        if fence is None or store is None:
            return
        offset = await self._append_changelog(chunk, source, fence, store.changelog)
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in chunk.rows.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        store.write(batch, offset)

    async def send_alone(
        self, topic: str, partition: int, key: bytes | None, value: bytes, header: tuple[str, bytes]
    ) -> RecordMetadata:
        """Send one unfenced record (a tick, an attempt's result); its offset and append time.

        Raises:
            EngineFailure: if it was not acked.
        """
        sent = self._producer.send_and_wait(topic, value, key=key, partition=partition, headers=[header])
        return await _acked(sent)

    async def emit(self, emissions: Sequence[Emission], source: int, fence: Fence | None) -> None:
        """Send emissions and await every ack.

        Args:
            emissions: in the order they were made; that order is kept per destination partition.
            source: partition they come from; emissions without a key go to its namesake.
            fence: of the source partition, or None for emissions whose repetition does no harm.

        Raises:
            LeaseLost, EngineFailure: as :meth:`persist`.
        """
        if not emissions:
            return
        destinations: defaultdict[tuple[str, int], list[Emission]] = defaultdict(list)
        for emission in emissions:
            for destination in await self._destinations(emission, source):
                destinations[destination].append(emission)
        self._check_pulse()
        acks: list[Awaitable[Any]] = []
        for (topic, partition), group in destinations.items():
            acks += await self._send_group(topic, partition, group, fence)
        await _acked(asyncio.gather(*acks))

    async def _send_group(
        self, topic: str, partition: int, group: list[Emission], fence: Fence | None
    ) -> list[Awaitable[Any]]:
        acks = []
        batch = self._producer.create_batch()
        for emission in group:
            if not _append(batch, emission.key, emission.value, emission.headers):
                acks.append(await self._send(batch, topic, partition, fence))
                batch = self._producer.create_batch()
                _append(batch, emission.key, emission.value, emission.headers)  # a batch always takes its first record
        acks.append(await self._send(batch, topic, partition, fence))
        return acks

    async def _append_changelog(self, chunk: Chunk, partition: int, fence: Fence, changelog: str) -> int:
        batch = self._producer.create_batch()
        for key, value in chunk.rows.items():
            if not _append(batch, key, value, []):
                raise EngineFailure(f"a chunk of {chunk.size} bytes does not fit into one record batch")
        self._check_pulse()
        ack = await self._send(batch, changelog, partition, fence)
        metadata = await _acked(ack)
        if metadata.offset < 0:  # aiokafka's answer to a repeated batch: it lies there, but where is not known
            raise EngineFailure(f"the place of a chunk on {changelog} is not known")
        return int(metadata.offset) + len(chunk.rows) - 1

    async def _send(self, batch: Any, topic: str, partition: int, fence: Fence | None) -> Awaitable[Any]:
        if fence is None:
            batch.close()
        else:
            fence.stamp(batch, topic, partition)
        # aiokafka holds one waiting batch per partition and lets whoever comes first add the next: without turns a lane
        # can be passed over until its time is up, and that time is counted several times over (add_batch, 0.14).
        async with self._turns[topic, partition]:
            sending = self._producer.send_batch(batch, topic, partition=partition)
            return await _acked(sending)  # type: ignore[no-any-return]  # aiokafka is untyped

    async def _destinations(self, emission: Emission, source: int) -> Sequence[tuple[str, int]]:
        topic = self._config.topic_name(emission.topic)
        count = self._partitions.get(topic)
        if count is None:
            count = self._partitions[topic] = len(await _acked(self._producer.partitions_for(topic)))
        if emission.everywhere:
            return [(topic, partition) for partition in range(count)]
        return ((topic, (source if emission.key is None else key_hash(emission.key)) % count),)


def _append(batch: BatchBuilder, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> bool:
    return batch.append(key=key, value=value, timestamp=None, headers=headers) is not None


async def _acked(sending: Awaitable[Any]) -> Any:
    try:
        return await sending
    except EngineFailure:
        raise
    except Exception as exc:
        raise EngineFailure(f"not written: {exc!r}") from exc
