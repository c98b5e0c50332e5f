"""Taking partitions over: fence, restore, check, own (DESIGN 3.6, 3.8). Runs before Faust reads end offsets.

Touches ``Recovery._build_highwaters`` of Faust, title "active": the one place between an assignment and the first read
of a changelog's end; tests/stream/test_faust_parts.py breaks when it changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from faust.types import TP

from streamnotify.errors import EngineFailure, LeaseLost
from streamnotify.stations.context import Station
from streamnotify.stream import topic_ids
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import OrderedCommitConsumer
from streamnotify.stream.fence import Fence, take_fence
from streamnotify.stream.metrics import RESTORE_SECONDS
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.processor import Processor
from streamnotify.stream.restore import restore
from streamnotify.stream.store import PartitionStore
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.writer import Writer

logger = logging.getLogger(__name__)


class Takeover:
    """Makes this worker the owner of the changelog partitions Faust assigns to it.

    Args:
        config: names and clients.
        stations: all of them; the stateful ones are taken over.
        tables: per station name its table.
        admin: tells the topics' ids.
        producer: sends barrier rows.
        writer: persists the ids a state was made from.
        ownership: where the owned partitions are entered.
    """

    def __init__(
        self,
        config: EngineConfig,
        stations: Sequence[Station],
        tables: Mapping[str, Any],
        admin: TopicAdmin,
        producer: AIOKafkaProducer,
        writer: Writer,
        ownership: Ownership,
    ) -> None:
        self._config = config
        self._all = stations
        self._stations = {config.changelog_name(station.name): station for station in stations if station.rows}
        self._tables = tables
        self._admin = admin
        self._producer = producer
        self._writer = writer
        self._ownership = ownership

    def hook_into(self, recovery: Any, crash: Callable[[BaseException], Awaitable[None]]) -> None:
        """Run at the start of every recovery of ``recovery`` (Faust's), ``crash`` being called if it fails."""
        build_highwaters = recovery._build_highwaters

        async def hooked(consumer: Any, tps: Any, destination: Any, title: str) -> None:
            if title == "active":
                generation = recovery.app.consumer_generation_id
                try:
                    offsets = await self.run(consumer, set(tps))
                except Exception as exc:
                    reassigned = recovery.app.consumer_generation_id != generation
                    if await self._overtaken(exc, reassigned, consumer.revoked, recovery.signal_recovery_start):
                        return
                    await crash(exc)
                    raise
                for tp, offset in offsets.items():  # tps itself may be the next assignment's by now
                    recovery.active_offsets[tp] = offset
            await build_highwaters(consumer, tps, destination, title)

        recovery._build_highwaters = hooked

    async def _overtaken(
        self, failure: Exception, reassigned: bool, revoked: asyncio.Event, next_recovery: asyncio.Event
    ) -> bool:
        """Whether a takeover failed because of a rebalance, for which it waits then; Faust cancels it when that comes.

        The next owner may fence us before we know of it: members get their assignments one after the other, and who is
        out of the group hears so at its next heartbeat. No record was handled and nothing is owned: the next takeover
        begins anew. But if a rebalance is due and does not come, this is not what happened, and the engine ends. It
        ends at once where nobody told us to let go and we have a name: that goes to a twin without a rebalance. Told to
        let go, a worker whose twin has its name hears so when it joins, and ends by that (static_member.py).
        """
        self._ownership.clear()
        session, rebalance = (
            each.total_seconds() for each in (self._config.session_timeout, self._config.rebalance_timeout)
        )
        told = reassigned or revoked.is_set()
        if not told and (self._config.instance_id is not None or not _is_fenced(failure)):
            return False
        logger.info("another rebalance overtook this one: %s", failure)
        try:
            if not told:  # several heartbeats are answered in this time
                await asyncio.wait_for(revoked.wait(), session)
            # Others may take the one to let go; the other goes by if one of them has died.
            await asyncio.wait_for(next_recovery.wait(), rebalance + session)
        except TimeoutError:
            logger.error("no rebalance has come")
            return False
        return True

    async def run(self, consumer: OrderedCommitConsumer, changelogs: set[TP]) -> dict[TP, int]:
        """Own these changelog partitions; returns the last changelog offset each store then holds.

        Raises:
            StateError: if state and topics do not belong together.
            EngineFailure: if the broker refuses a write.
        """
        self._ownership.clear()
        ids = await asyncio.to_thread(topic_ids.read, self._admin, self._config, self._all)
        stores = {
            tp: PartitionStore(self._tables[self._stations[tp.topic].name], tp.partition).open() for tp in changelogs
        }
        for tp, store in stores.items():
            ids.check_local(self._stations[tp.topic], store)
        fences = await self._fences(consumer, list(stores))
        with RESTORE_SECONDS.time():
            moved = await restore({tp: (stores[tp], stores[tp].offset) for tp in stores}, self._config.client)
        if moved:
            logger.info("state of %d partitions is up to date", len(moved))
        inputs = await self._inputs(consumer, list(stores))
        for tp, store in stores.items():
            await self._own(self._stations[tp.topic], tp.partition, store, fences[tp], ids, inputs[tp])
        return {tp: store.offset or 0 for tp, store in stores.items()}

    async def renew(self, partition: OwnedPartition) -> None:
        """Take a new fence for a partition we own, at a chunk boundary: brokers forget unused producer ids.

        Raises:
            EngineFailure: if anybody has written since our last chunk. The partition then has another owner, of whom we
                have not heard; our state is old, and under the new fence nobody would refuse what we make of it.
        """
        changelog = TP(partition.store.changelog, partition.number)
        fence = await self._fence(changelog)
        if fence.barrier - 1 != partition.store.offset:
            raise EngineFailure(
                f"{changelog.topic}[{changelog.partition}] has another owner: a new fence came too late"
            )
        partition.fence = fence

    async def _fences(self, consumer: OrderedCommitConsumer, changelogs: list[TP]) -> dict[TP, Fence]:
        """Fence off who owned these partitions before; if we have to let go of them, it would be who owns them next."""
        if consumer.revoked.is_set():
            raise LeaseLost("the partitions were revoked")
        taking = [asyncio.ensure_future(self._fence(tp)) for tp in changelogs]
        try:
            return dict(zip(changelogs, await asyncio.gather(*taking), strict=True))
        finally:
            for task in taking:
                task.cancel()

    async def _fence(self, tp: TP) -> Fence:
        transactional_id = f"{self._config.app_id}-{self._stations[tp.topic].name}-{tp.partition}"
        return await take_fence(transactional_id, tp.topic, tp.partition, self._producer, self._config.client)

    async def _own(
        self,
        station: Station,
        number: int,
        store: PartitionStore,
        fence: Fence,
        ids: topic_ids.CurrentIds,
        input_: tuple[int, int | None],
    ) -> None:
        end, committed = input_
        chunk = ids.check_restored(station, store, end, committed)
        if chunk is not None:
            await self._writer.persist(chunk, number, fence, store)
        source = TP(self._config.topic_name(station.inputs[0]), number)
        processor = Processor(station, ids.identity(station, source), store)
        self._ownership.add(OwnedPartition(station, number, store, fence, processor, end))

    async def _inputs(self, consumer: OrderedCommitConsumer, changelogs: list[TP]) -> dict[TP, tuple[int, int | None]]:
        """Per changelog partition the end offset of its station's input, and what the group has committed there."""
        inputs = {
            tp: TP(self._config.topic_name(self._stations[tp.topic].inputs[0]), tp.partition) for tp in changelogs
        }
        ends = await consumer.highwaters(*inputs.values())
        committed = await consumer.committed_offsets(inputs.values())
        return {tp: (ends[input_], committed[input_]) for tp, input_ in inputs.items()}


def _is_fenced(failure: Exception) -> bool:
    return isinstance(failure, ProducerFenced) or isinstance(failure.__cause__, ProducerFenced)
