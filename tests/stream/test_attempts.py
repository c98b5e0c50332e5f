"""Attempts: outside the agents, as many as the performer takes, and none that another worker may make (DESIGN 3.10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from streamnotify.errors import LeaseLost
from streamnotify.stations.context import Attempt, Performer
from streamnotify.stream import attempts as module
from streamnotify.stream import engine_rows
from streamnotify.stream.attempts import AttemptPool
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import OPEN, Position
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.testing.memory import MemoryStore
from tests.stream.one_partition import station

CONFIG = EngineConfig("127.0.0.1:1", "app", Path("state"))


class FakeWriter:
    """Keeps the results."""

    def __init__(self) -> None:
        self.results: list[tuple[str, int, bytes | None, tuple[str, bytes]]] = []
        self.may_ack = asyncio.Event()
        self.may_ack.set()

    async def send_alone(self, topic: str, number: int, key: bytes | None, value: bytes, header: Any) -> int:
        """Send a result."""
        await self.may_ack.wait()
        self.results.append((topic, number, key, header))
        return 0


class FakeLease:
    """In doubt or not."""

    lost = False

    def check(self) -> None:
        """See Lease."""
        if self.lost:
            raise LeaseLost("in doubt")


class Pool:
    """A pool with everything around it."""

    def __init__(self, perform: Callable[[Attempt], Awaitable[Any]], at_once: int = 2) -> None:
        toy = station(lambda command, ctx: None, performer=Performer(perform, at_once))
        self.ownership, self.writer, self.lease = Ownership(), FakeWriter(), FakeLease()
        self.crashes: list[BaseException] = []

        async def crash(failure: BaseException) -> None:
            self.crashes.append(failure)

        self.pool = AttemptPool(toy, self.ownership, self.writer, self.lease, CONFIG, crash)  # type: ignore[arg-type]
        self.partition = self.own()

    def own(self, *open_: tuple[str, int], applied: int = 9, input_end: int = 10) -> OwnedPartition:
        """Own partition 3, with these attempts open."""
        store: Any = MemoryStore()
        store.rows = {OPEN + key.encode(): number.to_bytes(8, "big") for key, number in open_}
        store.rows[engine_rows.POSITION] = Position(applied=applied).encode()
        fence: Any = None
        processor: Any = None
        self.partition = OwnedPartition(self.pool.station, 3, store, fence, processor, input_end)
        self.ownership.add(self.partition)
        return self.partition

    def chunk(self, *started: tuple[str, int], applied: int = 10) -> None:
        """A chunk that started attempts has been persisted."""
        chunk = Chunk(self.partition.store, stateful=True, folding=None)
        chunk.started += started
        chunk.position.applied = applied
        for key, number in started:
            self.partition.store.rows[OPEN + key.encode()] = number.to_bytes(8, "big")  # type: ignore[attr-defined]
        self.pool.on_chunk(self.partition, chunk)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - any condition
                await asyncio.sleep(0.005)

    @property
    def results(self) -> list[tuple[bytes | None, bytes]]:
        """Key and number of each result."""
        return [(key, header[1]) for _, _, key, header in self.writer.results]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario."""
    asyncio.run(scenario)


def test_an_attempt_is_made_once_its_chunk_is_persisted_and_its_result_goes_to_its_own_partition() -> None:
    """With its number in a header."""

    async def scenario() -> None:
        async def perform(attempt: Attempt) -> Any:
            return ["done", attempt.key]

        pool = Pool(perform)
        pool.pool.resume()
        pool.chunk(("a", 7))
        await pool.until(lambda: pool.writer.results != [])
        assert pool.writer.results == [("app-in", 3, b"a", ("sn-result", b"7"))]
        await pool.pool.suspend()

    run(scenario())


def test_no_more_attempts_are_under_way_than_the_performer_takes() -> None:
    """The others wait, and none is forgotten."""

    async def scenario() -> None:
        under_way: set[str] = set()
        most = 0

        async def perform(attempt: Attempt) -> Any:
            nonlocal most
            under_way.add(attempt.key)
            most = max(most, len(under_way))
            await asyncio.sleep(0.01)
            under_way.discard(attempt.key)

        pool = Pool(perform, at_once=3)
        pool.pool.resume()
        pool.chunk(*((f"k{n}", 1) for n in range(10)))
        await pool.until(lambda: len(pool.results) == 10)
        assert most == 3
        await pool.pool.suspend()

    run(scenario())


def test_a_new_owner_makes_open_attempts_only_when_it_has_read_the_partition_to_its_end() -> None:
    """Results of the previous owner may lie there: they close attempts that would else be made twice."""

    async def scenario() -> None:
        async def perform(_: Attempt) -> Any:
            return None

        pool = Pool(perform)
        partition = pool.own(("answered", 1), ("open", 4), applied=5, input_end=10)
        pool.pool.resume()
        pool.chunk(("new", 1), applied=7)
        await asyncio.sleep(0.02)
        assert pool.results == []
        del partition.store.rows[OPEN + b"answered"]  # type: ignore[attr-defined]
        pool.chunk(applied=9)
        await pool.until(lambda: len(pool.results) == 2)
        assert sorted(pool.results) == [(b"new", b"1"), (b"open", b"4")]
        await pool.pool.suspend()

    run(scenario())


def test_giving_up_partitions_forgets_what_waits_and_aborts_what_can_be() -> None:
    """No result is sent for them: the next owner makes them."""

    async def scenario() -> None:
        begun: list[str] = []

        async def perform(attempt: Attempt) -> Any:
            begun.append(attempt.key)
            await asyncio.Event().wait()

        pool = Pool(perform, at_once=1)
        pool.pool.resume()
        pool.chunk(("under way", 1), ("waiting", 1))
        await pool.until(lambda: begun != [])
        await pool.pool.suspend()
        assert (begun, pool.results, pool.crashes) == (["under way"], [], [])

    run(scenario())


def test_giving_up_partitions_awaits_the_results_of_what_cannot_be_aborted() -> None:
    """After the final dot the mail is out: its result must lie in the partition before somebody else reads it."""

    async def scenario() -> None:
        async def perform(_: Attempt) -> Any:
            return "sent"

        pool = Pool(perform)
        pool.writer.may_ack.clear()
        pool.pool.resume()
        pool.chunk(("a", 1))
        await asyncio.sleep(0.02)
        suspending = asyncio.ensure_future(pool.pool.suspend())
        await asyncio.sleep(0.02)
        assert not suspending.done()
        pool.writer.may_ack.set()
        await suspending
        assert pool.results == [(b"a", b"1")]

    run(scenario())


def test_an_attempt_whose_lease_is_in_doubt_is_not_made_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked before it begins and whenever the performer asks."""
    monkeypatch.setattr(module, "GIVEN_BACK_FOR", 0.02)

    async def scenario() -> None:
        begun: list[int] = []

        async def perform(attempt: Attempt) -> Any:
            begun.append(attempt.number)
            pool.lease.lost = len(begun) == 1
            attempt.check_lease()
            return "sent"

        pool = Pool(perform)
        pool.lease.lost = True
        pool.pool.resume()
        pool.chunk(("a", 1))
        await asyncio.sleep(0.01)
        assert begun == []
        pool.lease.lost = False
        await pool.until(lambda: begun == [1])
        pool.lease.lost = False
        await pool.until(lambda: pool.results == [(b"a", b"1")])
        assert begun == [1, 1]
        await pool.pool.suspend()

    run(scenario())


def test_an_attempt_of_a_partition_that_has_another_owner_is_not_made() -> None:
    """Even if this worker owns it again by now: the attempt is taken up from the new state."""

    async def scenario() -> None:
        async def perform(_: Attempt) -> Any:
            return "sent"

        pool = Pool(perform)
        pool.pool.resume()
        old = pool.partition
        old.attempts_run = True
        chunk = Chunk(old.store, stateful=True, folding=None)
        chunk.started.append(("a", 1))
        pool.own()
        pool.pool.on_chunk(old, chunk)
        await asyncio.sleep(0.02)
        assert pool.results == []
        await pool.pool.suspend()

    run(scenario())


def test_a_performer_that_fails_ends_the_process() -> None:
    """It is to return what went wrong with an attempt; an exception is our bug or the machine's."""

    async def scenario() -> None:
        async def perform(_: Attempt) -> Any:
            raise OSError("no file descriptors left")

        pool = Pool(perform)
        pool.pool.resume()
        pool.chunk(("a", 1))
        await pool.until(lambda: pool.crashes != [])
        assert (pool.results, [str(crash) for crash in pool.crashes]) == ([], ["no file descriptors left"])

    run(scenario())
