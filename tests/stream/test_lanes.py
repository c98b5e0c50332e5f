"""Lanes: partitions side by side, each in order, acked last of all (DESIGN 3.1, research/latency.md A)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streamnotify.errors import EngineFailure
from streamnotify.stream.lanes import NO_STORE, Lanes
from streamnotify.stream.processor import Processor
from streamnotify.testing.memory import MemoryRecord
from tests.stream.one_partition import NEXT, PUBLIC, station


class FakeMessage:
    """A micro-batch as Faust's message."""

    partition: int
    tp: TP
    generation_id: int
    offset: int
    value: list[MemoryRecord]


class FakeStream:
    """A Faust stream of micro-batches, and what was acked."""

    def __init__(self, steps: list[str]) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._steps = steps
        self.app = SimpleNamespace(consumer_generation_id=1, consumer=SimpleNamespace(unacked=set()))
        self.acks_itself = True

    def put(self, partition: int, *offsets: int, generation: int = 1, topic: str = "public") -> None:
        """A micro-batch has been polled."""
        records = [MemoryRecord(topic, offset, 0, None, b"", partition=partition) for offset in offsets]
        message = FakeMessage()
        message.partition, message.tp = partition, TP(topic, partition)
        message.generation_id, message.offset, message.value = generation, offsets[-1], records
        self._events.put_nowait(SimpleNamespace(message=message, value=records))

    def noack(self) -> FakeStream:
        """From now on only ``ack`` acks."""
        self.acks_itself = False
        return self

    async def events(self) -> AsyncIterator[Any]:
        """For ever."""
        while True:
            yield await self._events.get()

    async def ack(self, event: Any) -> None:
        """A micro-batch is done."""
        assert not self.acks_itself
        self._steps.append(f"ack {event.message.partition}@{event.message.offset}")


class Scene:
    """Lanes of a stateless station with everything around them."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.stalled: set[int] = set()
        self.fails: set[int] = set()
        self.crashes: list[BaseException] = []
        self.identities: list[bytes] = []
        self.stream = FakeStream(self.steps)
        toy = station(lambda record, ctx: ctx.emit(NEXT, b"k", 1), inputs=(PUBLIC,), rows=())
        writer: Any = SimpleNamespace(persist=self.persist)
        unused: Any = None
        positions: Any = SimpleNamespace(not_expired=self.not_expired, tell_loss=self.tell_loss)
        self.lanes = Lanes(
            toy,
            unused,
            writer,
            lambda source: Processor(toy, b"toy/%s/%d/0/" % (source.topic.encode(), source.partition), NO_STORE),
            unused,
            unused,
            self.crash,
            positions,
            unused,
        )

    async def persist(self, chunk: Any, number: int, fence: Any, store: Any) -> None:
        """Persist a chunk."""
        while number in self.stalled:  # noqa: ASYNC110 - for ever
            await asyncio.sleep(0.002)
        if number in self.fails:
            raise EngineFailure("not written")
        self.steps.append(f"persist {number}@{chunk.position.applied}")
        self.identities += [value for emission in chunk.emissions for _, value in emission.headers]

    async def not_expired(self, *_: Any) -> None:
        """Missing offsets are looked into."""
        self.steps.append("gap")

    async def tell_loss(self, *_: Any) -> None:
        """Nothing was lost."""

    async def crash(self, failure: BaseException) -> None:
        """The engine ends."""
        self.crashes.append(failure)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Run until a condition holds."""
        running = asyncio.ensure_future(self.lanes.run(self.stream))
        try:
            async with asyncio.timeout(5):
                while not condition():  # noqa: ASYNC110 - any condition
                    await asyncio.sleep(0.002)
        finally:
            running.cancel()


def play(prepare: Callable[[Scene], None], until: Callable[[Scene], bool]) -> Scene:
    """Prepare a scene and run its lanes until something has happened."""

    async def scenario() -> Scene:
        scene = Scene()
        prepare(scene)
        await scene.until(lambda: until(scene))
        return scene

    return asyncio.run(scenario())


def test_a_partition_that_waits_for_its_acks_holds_up_no_other() -> None:
    """A serial agent is the largest cause of latency."""

    def prepare(scene: Scene) -> None:
        scene.stalled = {0}
        scene.stream.put(0, 1)
        scene.stream.put(1, 1)
        scene.stream.put(1, 2)

    scene = play(prepare, until=lambda scene: "ack 1@2" in scene.steps)
    assert scene.steps == ["persist 1@1", "ack 1@1", "persist 1@2", "ack 1@2"]


def test_a_batch_that_cannot_be_persisted_ends_the_engine_and_is_not_acked() -> None:
    """Nor is anything after it in its partition: a lane is outside the agent's supervisor."""

    def prepare(scene: Scene) -> None:
        scene.fails = {0}
        scene.stream.put(0, 1)
        scene.stream.put(0, 2)

    scene = play(prepare, until=lambda scene: scene.crashes != [])
    assert scene.steps == []
    assert [str(failure) for failure in scene.crashes] == ["not written"]


def test_a_batch_from_before_a_rebalance_is_passed_over() -> None:
    """It will be read again by whoever owns the partition now; acking it would commit it."""

    def prepare(scene: Scene) -> None:
        scene.stream.put(0, 1, generation=0)
        scene.stream.put(0, 2)

    scene = play(prepare, until=lambda scene: "ack 0@2" in scene.steps)
    assert scene.steps == ["persist 0@2", "ack 0@2"]


def test_offsets_that_are_missing_between_two_batches_are_looked_into() -> None:
    """Within one generation; the first batch after a seek has been looked into by the seek (DESIGN 3.2)."""

    def prepare(scene: Scene) -> None:
        scene.stream.put(0, 5, 6)
        scene.stream.put(0, 7)
        scene.stream.put(0, 9)

    scene = play(prepare, until=lambda scene: "ack 0@9" in scene.steps)
    assert scene.steps == ["persist 0@6", "ack 0@6", "persist 0@7", "ack 0@7", "gap", "persist 0@9", "ack 0@9"]


def test_emissions_of_a_station_with_two_inputs_are_told_apart() -> None:
    """Offsets are a topic's own: a user's preferences once took the identity of a user, and were dropped."""

    def prepare(scene: Scene) -> None:
        scene.stream.put(0, 7)
        scene.stream.put(0, 7, topic="other")

    scene = play(prepare, lambda scene: len(scene.identities) == 2)
    assert scene.identities == [b"toy/public/0/0/7/0", b"toy/other/0/0/7/0"]
