"""How a chunk is persisted: the order of steps, and what a failure between them leaves behind (DESIGN 3.4, 3.5)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import pytest

from streamnotify.errors import EngineFailure, LeaseLost
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.fence import Fence
from streamnotify.stream.layers import CHUNK_BYTES, Emission
from streamnotify.stream.writer import Writer, key_hash, new_producer
from streamnotify.testing.memory import MemoryStore
from tests.stream.one_partition import NEXT, PUBLIC

CONFIG = EngineConfig("127.0.0.1:1", "app", Path("state"), topic_prefix="prefix.")


class FakeProducer:
    """Acks a batch when told to, and notes what happens in which order.

    Args:
        steps: where it is noted.
        refuses: topics whose batches are refused.
    """

    def __init__(self, steps: list[str], refuses: str = "") -> None:
        self._steps = steps
        self._refuses = refuses
        self._real = new_producer(CONFIG)
        self.batches: defaultdict[str, list[Any]] = defaultdict(list)
        self.create_batch = self._real.create_batch

    async def partitions_for(self, topic: str) -> set[int]:
        """Four everywhere."""
        return {0, 1, 2, 3}

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Take a batch; its ack comes a little later."""
        self.batches[f"{topic}[{partition}]"].append(batch)
        self._steps.append(f"send {topic}")
        return asyncio.ensure_future(self._ack(topic))

    async def _ack(self, topic: str) -> Any:
        await asyncio.sleep(0.01)
        if topic == self._refuses:
            raise ConnectionError("refused")
        self._steps.append(f"ack {topic}")
        return type("Metadata", (), {"offset": 100})()


class FakeStore:
    """Notes what is written."""

    changelog = "app-toy-changelog"

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps
        self.offset: int | None = None

    def write(self, batch: Any, offset: int) -> None:
        """Persist."""
        self._steps.append(f"write {batch.len()} rows")
        self.offset = offset


def a_chunk(*emissions: Emission, **rows: bytes) -> Chunk:
    """A finished chunk with these emissions and rows."""
    chunk = Chunk(MemoryStore(), stateful=True, folding=None)
    for key, value in rows.items():
        chunk.write(key.encode(), value)
    chunk.emissions += emissions
    return chunk.finish()


def persist(
    chunk: Chunk, *, refuses: str = "", check_pulse: Any = lambda: None
) -> tuple[list[str], FakeProducer, FakeStore, BaseException | None]:
    """Persist a chunk of partition 1: the steps, the producer, the store and what went wrong."""
    steps: list[str] = []

    async def scenario() -> Any:
        producer, store = FakeProducer(steps, refuses), FakeStore(steps)
        writer = Writer(producer, CONFIG, check_pulse)
        try:
            await writer.persist(chunk, 1, Fence(1, 1), cast(Any, store))
        except (EngineFailure, LeaseLost) as exc:
            return producer, store, exc
        return producer, store, None

    producer, store, failure = asyncio.run(scenario())
    return steps, producer, store, failure


NEXT_A, OUT_A = Emission(NEXT, b"a", b"1", [("sn-from", b"x")]), Emission(PUBLIC, b"a", b"2", [("sn-id", b"x")])


def test_emissions_are_acked_before_the_changelog_and_that_before_the_store() -> None:
    """The caller acks the records after all of it."""
    steps, _, store, failure = persist(a_chunk(NEXT_A, OUT_A, na=b"row"))
    assert failure is None
    assert sorted(steps[:2]) == ["send app-next", "send prefix.public"]
    assert sorted(steps[2:4]) == ["ack app-next", "ack prefix.public"]
    assert steps[4:] == ["send app-toy-changelog", "ack app-toy-changelog", "write 2 rows"]
    assert store.offset == 101  # of the last of its two rows


@pytest.mark.parametrize(
    ("refuses", "done"),
    [("app-next", []), ("prefix.public", []), ("app-toy-changelog", ["send app-toy-changelog"])],
)
def test_what_is_not_acked_stops_everything_after_it(refuses: str, done: list[str]) -> None:
    """Neither the changelog nor the store knows of a chunk whose emissions are in doubt."""
    steps, _, store, failure = persist(a_chunk(NEXT_A, OUT_A, na=b"row"), refuses=refuses)
    assert isinstance(failure, EngineFailure)
    assert [step for step in steps if "changelog" in step] == done
    assert store.offset is None


def test_a_process_that_may_have_been_replaced_sends_nothing() -> None:
    """The pulse is checked before every send."""

    def frozen() -> None:
        raise LeaseLost("stood still")

    for chunk in (a_chunk(NEXT_A, na=b"row"), a_chunk(na=b"row")):
        steps, _, _, failure = persist(chunk, check_pulse=frozen)
        assert isinstance(failure, LeaseLost)
        assert steps == []


def test_a_chunk_is_one_record_batch_on_the_changelog() -> None:
    """As large as it may get, with as many rows as it may have: atomic for whoever restores it."""
    many = {f"n{n:05}": b"x" * (CHUNK_BYTES // 10_000 - 30) for n in range(10_000)}
    for chunk in (a_chunk(**many), a_chunk(na=b"x" * (CHUNK_BYTES - 10))):
        _, producer, _, failure = persist(chunk)
        assert failure is None
        [batch] = producer.batches["app-toy-changelog[1]"]
        assert batch.record_count() == len(chunk.rows)


def test_emissions_keep_their_order_and_go_where_their_key_belongs() -> None:
    """Per destination partition; those without a key go to the partition's namesake, and those for everybody to all."""
    keyed = [Emission(NEXT, b"k%d" % (n % 3), b"%d" % n, []) for n in range(9)]
    unkeyed = [Emission(NEXT, None, b"%d" % n, []) for n in range(9, 12)]
    everywhere = [Emission(NEXT, None, b"%d" % n, [], everywhere=True) for n in range(12, 14)]
    emissions = [*keyed[:4], everywhere[0], *keyed[4:], *unkeyed, everywhere[1]]
    sent: dict[str, list[bytes]] = defaultdict(list)

    class Batch:
        """Notes what is appended."""

        def __init__(self, real: Any) -> None:
            self._real, self.values = real, []  # type: ignore[var-annotated]

        def append(self, *, key: Any, value: Any, timestamp: Any, headers: Any = ()) -> Any:
            self.values.append(value)
            return self._real.append(key=key, value=value, timestamp=timestamp, headers=headers)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    async def scenario() -> None:
        producer = FakeProducer([])
        real = producer.create_batch
        producer.create_batch = lambda: Batch(real())
        writer = Writer(producer, CONFIG, lambda: None)
        await writer.emit(emissions, 1, Fence(1, 1))
        for where, batches in producer.batches.items():
            sent[where] = [value for batch in batches for value in batch.values]

    asyncio.run(scenario())
    expected: dict[str, list[bytes]] = defaultdict(list)
    for emission in emissions:
        number = 1 if emission.key is None else key_hash(emission.key) % 4
        for each in range(4) if emission.everywhere else (number,):
            expected[f"app-next[{each}]"].append(emission.value or b"")
    assert sent == expected


def test_emissions_that_do_not_fit_into_one_batch_go_in_several_with_one_sequence() -> None:
    """And one that is larger than a batch has a batch of its own."""
    sizes = (600_000, 600_000, 2_500_000, 10)
    emissions = [Emission(PUBLIC, b"k", b"x" * size, []) for size in sizes]
    fence = Fence(1, 1)

    async def scenario() -> list[int]:
        producer = FakeProducer([])
        await Writer(producer, CONFIG, lambda: None).emit(emissions, 1, fence)
        [batches] = producer.batches.values()
        return [batch.record_count() for batch in batches]

    counts = asyncio.run(scenario())
    assert counts[:2] == [1, 1]
    assert sum(counts) == 4
    assert list(fence._sequences.values()) == [4]


def test_the_producer_waits_for_all_in_sync_replicas() -> None:
    """What is acked survives the loss of a broker."""

    async def acks() -> Any:
        return new_producer(CONFIG)._sender._acks

    assert asyncio.run(acks()) == -1
