"""Ticks: one where a wake is due, none where one is on its way; the broker's clock against ours (DESIGN 3.3, 3.9)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

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


class Scene:
    """One owned partition of a station, and a ticker that looks at it often."""

    def __init__(self, skew: float = 0.0) -> None:
        unused: Any = None
        self.store = cast(Any, MemoryStore())
        self.partition = OwnedPartition(station(lambda command, ctx: None), 3, self.store, unused, unused, 0)
        self.ownership = Ownership()
        self.ownership.add(self.partition)
        self.clock = BrokerClock()
        self.skew = skew
        self.sent: list[tuple[Any, ...]] = []

    async def send_alone(self, *record: Any) -> Any:
        """Send a tick; the broker says when it took it in."""
        self.sent.append(record)
        return SimpleNamespace(offset=100 + len(self.sent), timestamp=(time.time() + self.skew) * 1000)

    def due_in(self, seconds: float) -> None:
        """A row sleeps so long."""
        at_ms = int((time.time() + seconds) * 1000)
        self.store.rows[wakes.due_key(WaitsFor.BROKER, at_ms, b"nx")] = b""

    def applied(self, offset: int, fired: dict[int, bytes] | None = None) -> None:
        """The partition's records have been applied up to here."""
        self.store.rows[engine_rows.POSITION] = Position(offset, 0, fired or {}).encode()

    async def tick_for(self, seconds: float) -> None:
        """Run the ticker."""
        writer: Any = self
        config = EngineConfig("127.0.0.1:1", "app", Path("state"))
        ticking = asyncio.ensure_future(Ticker(self.ownership, writer, config, self.clock).run())
        await asyncio.sleep(seconds)
        ticking.cancel()


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
