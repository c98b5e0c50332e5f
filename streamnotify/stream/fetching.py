"""The consumer's thread: what reaches aiokafka's fetcher and when (research/latency.md A, B, C).

Touches private parts of Faust's consumer thread and aiokafka's fetcher; tests/stream/test_faust_parts.py breaks when
they change.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import aiokafka
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streamnotify.stream.fetched import replace_aiokafkas_records

PACE = 0.003  # seconds between two fetches of a node, so that one answer carries every partition
FETCH_WAIT_MS = 500  # a missed wake-up of the fetcher costs at most this


class FetchingThread(AIOKafkaConsumerThread):
    """Faust's consumer thread with read-committed isolation, real pausing, paced fetches and watched heartbeats."""

    on_heartbeat: ClassVar[Callable[[], None]]
    on_lost: ClassVar[Callable[[str], None]]
    on_joined: ClassVar[Callable[[str], None]]

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust reads aborted transactions of publishers
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """Start the aiokafka consumer and hook into it before anything is assigned."""
        self._passed_on: tuple[Any, Any] = (None, None)
        self._handed_over: dict[TP, int] = {}  # the last offset of each partition, since it was sought
        replace_aiokafkas_records()
        await super().on_start()
        consumer = self._ensure_consumer()
        _pace_fetches(consumer._fetcher)
        self._watch_heartbeats(consumer._coordinator)
        self._end_when_the_group_refuses_us(consumer._coordinator)
        if consumer._group_instance_id is not None:
            self._stay_out_when_forgotten(consumer._coordinator)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """As Faust's; nothing is fetched meanwhile: what a takeover asks the broker would wait for each empty fetch."""
        consumer = self._ensure_consumer()
        type(self).on_joined(consumer._coordinator.member_id)
        self._pass_on_pauses(consumer, frozenset())
        await super().on_partitions_assigned(assigned, generation_id)

    def _stay_out_when_forgotten(self, coordinator: Any) -> None:
        """aiokafka would join again by its name, from which the group may have taken it for a successor."""
        reset = coordinator.reset_generation

        def forgotten() -> None:
            if coordinator._closing.done():
                reset()
            else:  # it keeps its id, with which the group refuses whatever it still asks
                type(self).on_lost("the group does not know this worker any more, or knows another one by its name")

        coordinator.reset_generation = forgotten

    def _end_when_the_group_refuses_us(self, coordinator: Any) -> None:
        """aiokafka keeps such an error for whoever asks for records next, and does nothing more until then.

        Nobody asks while nothing is assigned. One that it does not know is that another worker has our name.
        """
        push = coordinator._push_error_to_user

        def pushed(error: BaseException) -> Any:
            type(self).on_lost(f"the group refuses this worker: {error!r}")
            return push(error)

        coordinator._push_error_to_user = pushed

    async def committed(self, tp: TP) -> int | None:
        """What the group has committed on a partition, None if nothing."""
        return await self.call_thread(self._ensure_consumer().committed, tp)  # type: ignore[no-any-return]  # untyped

    async def positions(self, partitions: Iterable[TP]) -> dict[TP, tuple[int, int | None]]:
        """Where each assigned partition is read on, and the last offset it has handed over since it was sought.

        The two belong together: between them lie only markers of transactions, records that were compacted away, or
        records that expired unread.
        """
        return await self.call_thread(self._positions, set(partitions))  # type: ignore[no-any-return]  # untyped

    async def _positions(self, partitions: set[TP]) -> dict[TP, tuple[int, int | None]]:
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        states = {tp: assignment.state_value(tp) for tp in partitions & assignment.tps} if assignment else {}
        return {
            tp: (state.position, self._handed_over.get(tp)) for tp, state in states.items() if state.has_valid_position
        }

    async def _seek_wait(self, consumer: aiokafka.AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        for tp in partitions:
            self._handed_over.pop(tp, None)
        await super()._seek_wait(consumer, partitions)

    def _watch_heartbeats(self, coordinator: Any) -> None:
        beat = coordinator._do_heartbeat

        async def watched() -> bool:
            answered = bool(await beat())
            if answered:
                type(self).on_heartbeat()
            return answered

        coordinator._do_heartbeat = watched

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        self._pass_on_pauses(consumer, active_partitions)
        fetched = await super()._fetch_records(consumer, active_partitions, timeout=timeout, max_records=max_records)
        self._handed_over.update((tp, records[-1].offset) for tp, records in fetched.items())
        return fetched

    def _pass_on_pauses(self, consumer: Any, active_partitions: Any) -> None:
        """Faust's pause edits only its own set: aiokafka would go on fetching our changelogs, and block on them."""
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None or active_partitions is None:
            return
        wanted = frozenset(active_partitions)
        if self._passed_on == (assignment, wanted):
            return
        self._passed_on = (assignment, wanted)
        for tp in assignment.tps:
            paused = assignment.state_value(tp).paused
            if tp in wanted and paused:
                consumer.resume(tp)
            elif tp not in wanted and not paused:
                consumer.pause(tp)


def _pace_fetches(fetcher: Any) -> None:
    fetch = fetcher._proc_fetch_request
    last: dict[int, float] = {}

    async def paced(assignment: Any, node: int, request: Any) -> Any:
        wait = last.get(node, 0.0) + PACE - time.monotonic()
        if wait > 0.0005:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                return False  # as the fetcher itself answers when it is closed
        answer = await fetch(assignment, node, request)
        last[node] = time.monotonic()
        return answer

    fetcher._proc_fetch_request = paced
