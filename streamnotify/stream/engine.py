"""The engine: all stations on one Faust app in one process; docs/engine.md says where each rule lives."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import mode
from aiokafka import AIOKafkaProducer
from faust.tables.manager import TableManager
from faust.types import TP

from streamnotify.stations.context import Station
from streamnotify.stream import topic_ids
from streamnotify.stream.attempts import AttemptPool
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.clock import BrokerClock
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import MicroBatches, OrderedCommitConsumer
from streamnotify.stream.data_dir import discard_if_old, mark_alive
from streamnotify.stream.faust_app import faust_app, stateful_table
from streamnotify.stream.fetching import FetchingThread
from streamnotify.stream.frontier import Frontier
from streamnotify.stream.group_members import member_named
from streamnotify.stream.intake import Intake
from streamnotify.stream.lanes import NO_STORE, Lanes
from streamnotify.stream.lease import Lease
from streamnotify.stream.metrics import HEARTBEAT_AGE, PARTITIONS_OWNED
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.positions import Positions
from streamnotify.stream.processor import Processor
from streamnotify.stream.static_member import StaticMember
from streamnotify.stream.store import share_cache
from streamnotify.stream.takeover import Takeover
from streamnotify.stream.ticker import Ticker
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.writer import Writer, new_producer

logger = logging.getLogger(__name__)

MARK_ALIVE_EVERY = 60.0  # seconds
LIVE_WITHIN = 15.0  # seconds without a turn of the event loop after which the process counts as stuck
STALLED_AFTER = 300.0  # seconds after which checks that wait for the frontier are worth an operator's look


class Engine:
    """Runs stations on Kafka until stopped. One per process: Faust's consumer is configured on classes.

    Args:
        stations: what to run; topics exist already.
        config: how.
    """

    def __init__(self, stations: Sequence[Station], config: EngineConfig) -> None:
        self._stations = stations
        self._config = config
        self.lease = Lease(config.lease_limit.total_seconds())
        self._member = _static_member(stations, config)
        self.ownership = Ownership()
        self.app = faust_app(config)
        self._pools: list[AttemptPool] = []
        self._background: list[Awaitable[None]] = []
        self._frontier: Frontier | None = None
        self._ticker: Ticker | None = None
        self.failure: BaseException | None = None
        self._stopping = False
        self._failed = asyncio.Event()

    @property
    def live(self) -> bool:
        """Whether the event loop has had a turn lately; no broker is asked."""
        return self.lease.pulse_age < LIVE_WITHIN

    @property
    def flowing(self) -> bool:
        """Whether partitions are assigned, their state is restored, and records flow; no longer once it stops."""
        flowing = bool(self.app.tables.actives_ready) and not self.app.rebalancing
        return flowing and not self._stopping and not self._failed.is_set()

    @property
    def unready(self) -> str | None:
        """Why this worker is not ready; None if it is."""
        if not self.flowing:
            return "records do not flow: partitions are not assigned, their state is not restored, or the engine ends"
        if self._frontier is not None and self._frontier.age > STALLED_AFTER:
            topic = self._config.frontier_topic
            return f"{topic} has not been taken in up to now for {self._frontier.age:.0f} s: checks of monitors wait"
        return None

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then finish what is under way and leave the group.

        Raises:
            StreamnotifyError, aiokafka.errors.KafkaError, ...: what ended it, if it was not ``stop``. The process must
                end then: nothing that is still in memory may be written any more.
        """
        self._config.data_dir.mkdir(parents=True, exist_ok=True)
        discard_if_old(self._config.data_dir)
        producer = new_producer(self._config)
        await producer.start()
        admin = TopicAdmin(self._config.bootstrap_servers, self._config.security)
        self._assemble(producer, admin, await asyncio.to_thread(topic_ids.read, admin, self._config, self._stations))
        self.app.finalize()
        background = [asyncio.create_task(self._guard(task)) for task in self._background]
        starting = asyncio.create_task(self._guard(self._start()))
        await _first(stop.wait(), self._failed.wait(), self._crashed(starting))
        failure = self.failure or self.app.crash_reason
        if failure is not None:
            raise failure
        self._stopping = True
        if starting.done():
            logger.info("stopping: finishing what is under way")
            await self._suspend_attempts()
            await self.app.stop()
        for task in background:
            task.cancel()
        await producer.stop()

    async def _start(self) -> None:
        if self._member is not None:
            await self._member.prepare()
        await self.app.start()

    async def _crashed(self, starting: asyncio.Task[None]) -> None:
        """Wait until Faust has ended by itself."""
        await starting
        await self.app.wait_until_stopped()

    async def crash(self, failure: BaseException) -> None:
        """End the engine: infrastructure errors are for the supervisor (DESIGN 3.12)."""
        if self.failure is None:
            self.failure = failure
        self._failed.set()

    def _assemble(self, producer: AIOKafkaProducer, admin: TopicAdmin, ids: topic_ids.CurrentIds) -> None:
        config, app = self._config, self.app
        writer = Writer(producer, config, self.lease.check_pulse)
        stateful = [station for station in self._stations if station.rows]
        tables = {station.name: stateful_table(app, station, config) for station in stateful}
        share_cache(tables)
        takeover = Takeover(config, self._stations, tables, admin, producer, writer, self.ownership)
        takeover.hook_into(cast(TableManager, app.tables).recovery, self.crash)
        self._pools = [
            AttemptPool(station, self.ownership, writer, self.lease, config, self.crash)
            for station in stateful
            if station.performer is not None
        ]
        positions, clock = Positions(self._stations, config, self.ownership, writer), BrokerClock()
        self._hook_consumer(positions)
        for station in self._stations:
            stateless = _stateless_processors(station, ids)
            lanes = Lanes(
                station,
                self.ownership,
                writer,
                stateless,
                takeover.renew,
                self._chunk_done,
                self.crash,
                positions,
                clock,
            )
            self._agent(station, lanes)
        self._ticker = Ticker(self.ownership, writer, config, clock)
        self._background = [
            self.lease.keep_pulse(),
            self._ticker.run(),
            topic_ids.watch(admin, ids, self._stations),
            self._watch(),
        ]
        if any(topic.name == config.frontier_topic for station in self._stations for topic in station.inputs):
            self._frontier = self._frontier_for(self._ticker, clock)
            self._background.append(self._frontier.run())

    def _frontier_for(self, ticker: Ticker, clock: BrokerClock) -> Frontier:
        config = self._config
        intake = Intake(f"{config.topic_prefix}{config.frontier_topic}", config)
        return Frontier(
            intake,
            clock,
            config.settle,
            self._commit,
            ticker.advance,
            lambda: any(self.ownership),
            after_failure=config.after_failure,
        )

    def _agent(self, station: Station, lanes: Lanes) -> None:
        names = [self._config.topic_name(topic) for topic in station.inputs]
        MicroBatches.topics.update(names)
        topic = self.app.topic(*names, key_type=bytes, value_serializer="raw")

        async def agent(stream: Any) -> None:
            await lanes.run(stream)

        self.app.agent(topic, name=station.name, supervisor_strategy=mode.CrashingSupervisor)(agent)

    def _hook_consumer(self, positions: Positions) -> None:
        OrderedCommitConsumer.positions = staticmethod(positions.of)
        OrderedCommitConsumer.before_revocation = staticmethod(self._suspend_attempts)
        OrderedCommitConsumer.before_assignment = staticmethod(self.ownership.clear)
        FetchingThread.on_heartbeat = staticmethod(self.lease.heartbeat_answered)
        FetchingThread.on_lost = staticmethod(self.lease.lose)
        FetchingThread.on_joined = staticmethod(self._member.joined if self._member else lambda member_id: None)
        cast(Any, self.app.transport).Consumer = OrderedCommitConsumer

    def _chunk_done(self, partition: OwnedPartition, chunk: Chunk) -> None:
        if self._ticker is not None:
            self._ticker.on_chunk(partition, chunk)
        for pool in self._pools:
            if pool.station is partition.station:
                pool.on_chunk(partition, chunk)

    async def _commit(self) -> None:
        """Commit what has been taken in, now and not at the next interval."""
        if self.flowing:
            await self.app.consumer.commit()

    async def _suspend_attempts(self) -> None:
        for pool in self._pools:
            await pool.suspend()

    async def _watch(self) -> None:
        """Resume attempts after a rebalance, and keep the gauges."""
        flowing, marked, attempts_from = False, 0.0, None
        while True:
            if time.monotonic() - marked > MARK_ALIVE_EVERY:
                mark_alive(self._config.data_dir)
                for partition in self.ownership:
                    partition.store.mark_alive()
                marked = time.monotonic()
            was_flowing, flowing, owned = flowing, self.flowing, len(list(self.ownership))
            if flowing and attempts_from is None:
                attempts_from = time.monotonic() + (self._member.attempts_wait if self._member else 0.0)
            if flowing and attempts_from is not None and time.monotonic() >= attempts_from:
                for pool in self._pools:
                    pool.resume()
            if flowing and not was_flowing:
                logger.info("records flow; %d partitions of stateful stations are ours", owned)
            PARTITIONS_OWNED.set(owned)
            HEARTBEAT_AGE.set(self.lease.heartbeat_age)
            self.lease.check_heard()
            await asyncio.sleep(0.1)

    async def _guard(self, task: Awaitable[None]) -> None:
        try:
            await task
        except Exception as exc:  # noqa: BLE001 - whatever it was, the process must end
            await self.crash(exc)


def _static_member(stations: Sequence[Station], config: EngineConfig) -> StaticMember | None:
    name = config.instance_id
    if name is None:
        return None
    look = functools.partial(member_named, config.bootstrap_servers, config.security, config.app_id, name)
    read = {config.topic_name(topic) for station in stations for topic in station.inputs}
    admin = TopicAdmin(config.bootstrap_servers, config.security)
    return StaticMember(name, config, look, lambda: admin.partition_counts(read))


def _stateless_processors(station: Station, ids: topic_ids.CurrentIds) -> Callable[[TP], Processor]:
    """Makes (and keeps) the processor of each partition of a stateless station's inputs."""
    made: dict[TP, Processor] = {}

    def processor(source: TP) -> Processor:
        if source not in made:
            made[source] = Processor(station, ids.identity(station, source), NO_STORE)
        return made[source]

    return processor


async def _first(*waiting: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(each) for each in waiting]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
