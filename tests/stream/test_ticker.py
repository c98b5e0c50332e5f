"""Ticks: one where a wake is due, none where one is on its way; the broker's clock against ours (DESIGN 3.3, 3.9)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamnotify.errors import EngineFailure
from streamnotify.stations.context import WaitsFor
from streamnotify.stream import clock as clock_module
from streamnotify.stream import engine_rows, ticker, wakes
from streamnotify.stream.clock import MAX_SKEW, BrokerClock
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import Position
from streamnotify.stream.partitions import OwnedPartition, Ownership
from streamnotify.stream.ticker import Ticker
from streamnotify.testing.memory import MemoryStore
from tests.stream.one_partition import station
from tests.stream.pipeline import NUMBERS


class Scene:
    """One owned partition of a station, and a ticker that looks at it often."""

    def __init__(self, skew: float = 0.0, **of_station: Any) -> None:
        unused: Any = None
        self.store = cast(Any, MemoryStore())
        toy = station(lambda command, ctx: None, **of_station)
        self.partition = OwnedPartition(toy, 3, self.store, unused, unused, 0)
        self.ownership = Ownership()
        self.ownership.add(self.partition)
        self.clock = BrokerClock()
        self.clock.observe(int(time.time() * 1000))
        self.skew = skew
        self.sent: list[tuple[Any, ...]] = []
        self.sending = asyncio.Event()

    async def send_alone(self, *record: Any) -> Any:
        """Send a tick; the broker says when it took it in."""
        self.sent.append(record)
        self.sending.set()
        return SimpleNamespace(offset=100 + len(self.sent), timestamp=(time.time() + self.skew) * 1000)

    def due_in(self, seconds: float) -> None:
        """A row sleeps so long."""
        self.due_at(int((time.time() + seconds) * 1000), WaitsFor.BROKER)

    def due_at(self, at_ms: int, waits_for: WaitsFor) -> None:
        """A row sleeps until then."""
        self.store.rows[wakes.due_key(waits_for, at_ms, b"nx")] = b""

    def applied(self, offset: int, fired: dict[int, bytes] | None = None) -> None:
        """The partition's records have been applied up to here."""
        self.store.rows[engine_rows.POSITION] = Position(offset, 0, fired or {}).encode()

    async def tick_for(self, seconds: float) -> None:
        """Run the ticker."""
        ticking = asyncio.ensure_future(self.new_ticker().run())
        await asyncio.sleep(seconds)
        ticking.cancel()

    def new_ticker(self) -> Ticker:
        """A ticker of this scene."""
        writer: Any = self
        return Ticker(self.ownership, writer, EngineConfig("127.0.0.1:1", "app", Path("state")), self.clock)

    async def until_sent(self) -> None:
        """Wait until another tick has been sent."""
        await asyncio.wait_for(self.sending.wait(), 30)
        self.sending.clear()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look many times within a test."""
    monkeypatch.setattr(ticker, "INTERVAL", 0.005)


def test_a_partition_with_a_due_wake_gets_one_tick_until_that_is_applied() -> None:
    """On its own partition; then another one if something is still due."""

    async def scenario() -> Scene:
        scene = Scene()
        scene.due_in(-1)
        await scene.tick_for(0.1)
        assert scene.sent == [("app-in", 3, None, b"", ("sn-tick", b""))]
        scene.applied(101)
        await scene.tick_for(0.1)
        return scene

    assert len(asyncio.run(scenario()).sent) == 2


def test_a_partition_that_is_given_up_while_a_tick_is_on_its_way_is_not_looked_at_any_more() -> None:
    """Its database is closed by then."""

    async def scenario() -> Scene:
        scene = Scene()

        def closed(_: bytes) -> bytes | None:
            raise EngineFailure("state cannot be read")

        async def send_alone(*record: Any) -> Any:
            scene.ownership.clear()
            scene.store.read = closed
            return await Scene.send_alone(scene, *record)

        scene.send_alone = send_alone  # type: ignore[method-assign]
        scene.due_in(-1)
        ticking = asyncio.ensure_future(scene.new_ticker().run())
        await scene.until_sent()
        await asyncio.wait({ticking}, timeout=0.05)
        assert not ticking.done()
        ticking.cancel()
        return scene

    assert len(asyncio.run(scenario()).sent) == 1


def test_a_partition_with_nothing_due_gets_no_tick() -> None:
    """Nor does one whose due wakes have come: looking starts behind the last of them."""

    async def scenario() -> Scene:
        scene = Scene()
        scene.due_in(60)
        await scene.tick_for(0.05)
        scene.due_in(-1)
        [due, _] = sorted(key for key in scene.store.rows if key[:1] == engine_rows.DUE)
        scene.applied(5, fired={WaitsFor.BROKER: due})
        await scene.tick_for(0.05)
        return scene

    assert asyncio.run(scenario()).sent == []


def test_a_wake_that_waits_for_the_frontier_gets_a_tick_as_soon_as_that_has_come_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not at its own time, nor a second later; the tick says how far the frontier has come."""
    monkeypatch.setattr(ticker, "INTERVAL", 600)

    async def scenario() -> Scene:
        scene = Scene()
        scene.due_at(5000, WaitsFor.FRONTIER)
        made = scene.new_ticker()
        ticking = asyncio.ensure_future(made.run())
        for frontier_ms in (4000, 4999):
            made.advance(frontier_ms)
            await asyncio.sleep(0.02)
        assert scene.sent == []
        made.advance(5000)
        await scene.until_sent()
        ticking.cancel()
        return scene

    assert asyncio.run(scenario()).sent == [("app-in", 3, None, b"", ("sn-tick", b"5000"))]


def test_where_a_tick_has_left_something_the_next_one_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none when nothing is left; chunks without the tick say nothing."""
    monkeypatch.setattr(ticker, "INTERVAL", 600)

    async def scenario() -> Scene:
        scene = Scene()
        scene.due_in(-1)
        made = scene.new_ticker()
        ticking = asyncio.ensure_future(made.run())
        await scene.until_sent()
        for applied in (99, 101):
            scene.applied(applied)
            chunk: Any = SimpleNamespace(position=Position(applied, 0, {}))
            made.on_chunk(scene.partition, chunk)
            await asyncio.sleep(0.02)
            assert len(scene.sent) == (2 if applied == 101 else 1)
        scene.store.rows = {}
        scene.applied(102)
        chunk = SimpleNamespace(position=Position(102, 0, {}))
        made.on_chunk(scene.partition, chunk)
        await asyncio.sleep(0.02)
        ticking.cancel()
        return scene

    assert len(asyncio.run(scenario()).sent) == 2


def test_a_partition_is_ticked_now_and_then_to_see_the_brokers_time() -> None:
    """The frontier needs it also while nothing is due."""

    async def scenario() -> Scene:
        scene = Scene()
        scene.clock = BrokerClock()
        await scene.tick_for(0.1)
        return scene

    scene = asyncio.run(scenario())
    assert len(scene.sent) == 1
    assert not scene.clock.wants_observation


def test_nothing_of_ours_is_written_to_a_public_topic() -> None:
    """A station that keeps rows and reads one has no clock, and so no wakes."""

    async def scenario() -> Scene:
        scene = Scene(inputs=(NUMBERS,))
        scene.clock = BrokerClock()
        await scene.tick_for(0.1)
        return scene

    assert asyncio.run(scenario()).sent == []


@pytest.mark.parametrize(
    ("skew", "pauses"), [(0.0, False), (MAX_SKEW - 5, False), (MAX_SKEW + 5, True), (-MAX_SKEW - 5, True)]
)
def test_clocks_that_differ_by_more_than_five_minutes_pause_the_worker(skew: float, pauses: bool) -> None:
    """Either way; ticks go on, for they tell the broker's time."""

    async def scenario() -> None:
        scene = Scene(skew)
        scene.due_in(-1)
        await scene.tick_for(0.05)
        assert scene.clock.skewed == pauses
        if pauses:
            scene.skew = 0.0
            scene.applied(1000)
            scene.store.rows = {engine_rows.POSITION: scene.store.rows[engine_rows.POSITION]}
            await scene.tick_for(0.05)
            assert not scene.clock.skewed

    asyncio.run(scenario())


def test_the_worker_goes_on_when_the_clocks_agree_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record from the past shows only that the broker is ahead."""
    monkeypatch.setattr(clock_module, "LOOK_AGAIN", 0.005)

    async def scenario() -> None:
        clock = BrokerClock()
        clock.observe_past(int((time.time() - 86_400) * 1000))
        await clock.wait()
        clock.observe_past(int((time.time() + 86_400) * 1000))
        waiting = asyncio.ensure_future(clock.wait())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        clock.observe(int(time.time() * 1000))
        await waiting

    asyncio.run(scenario())
