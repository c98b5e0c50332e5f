"""Notes: what they are labelled, when they are met, and that no answer and no step of a clock makes them say too much.

That they hold on a real broker is in test_frontier.py.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.errors import EngineFailure
from streamnotify.stream import frontier as frontier_module
from streamnotify.stream.clock import DRIFT, FORGET_AFTER, OBSERVE_EVERY, BrokerClock
from streamnotify.stream.frontier import MOST_NOTES, Frontier
from streamnotify.stream.metrics import NOTES_VOIDED

START = 1_000.0  # the broker's time when a scene begins, seconds
SETTLE = timedelta(seconds=2)


class Scene:
    """A topic whose ends grow and are taken in as a test says, and a broker's clock that goes on as it says."""

    def __init__(self, partitions: int = 2, *, after_failure: bool = False) -> None:
        self.steady = 50.0
        self.clock = BrokerClock(lambda: self.steady)
        self.clock.observe(int(START * 1000))
        self.topic = dict.fromkeys(range(partitions), 0)
        self.committed = dict(self.topic)
        self.away = False
        self.commits = 0
        self.needed = True
        self.told: list[int | None] = []
        self.asked_at: list[float] = []
        self.frontier = Frontier(
            self,
            self.clock,
            SETTLE,
            self.commit,
            self.told.append,
            lambda: self.needed,
            lambda: self.steady,
            after_failure=after_failure,
        )

    async def ends(self) -> dict[int, int]:
        """See Intake."""
        if self.away:
            raise EngineFailure("no answer")
        self.asked_at.append(self.broker_time)
        return dict(self.topic)

    async def taken_in(self, ends: Any) -> dict[int, int]:
        """See Intake."""
        if self.away:
            raise EngineFailure("no answer")
        return {number: self.committed.get(number, 0) for number in ends}

    async def close(self) -> None:
        """See Intake."""

    async def commit(self) -> None:
        """Count the commits that are asked for."""
        self.commits += 1

    @property
    def broker_time(self) -> float:
        """The broker's own clock, which runs exactly."""
        return START + self.steady - 50.0

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, and the frontier take its steps; the broker's time is seen now and then."""

        async def steps() -> None:
            until = self.steady + seconds
            while self.steady < until:
                pause = await self.frontier.step()
                assert pause > 0
                self.steady = min(self.steady + pause, until)
                if self.clock.wants_observation:
                    self.clock.observe(int(self.broker_time * 1000))

        asyncio.run(steps())


def test_a_second_is_complete_when_all_that_lay_there_after_the_settling_time_is_taken_in() -> None:
    scene = Scene()
    scene.topic = {0: 10, 1: 3}
    scene.committed = {0: 10, 1: 2}
    scene.pass_seconds(3.5)
    assert (scene.frontier.ms, scene.told) == (None, [])
    scene.topic = {0: 11, 1: 4}
    scene.committed = {0: 10, 1: 3}
    scene.pass_seconds(1)
    assert scene.frontier.ms is not None
    assert START - 2 <= scene.frontier.ms / 1000 <= START + 1.5
    assert scene.told == [scene.frontier.ms]
    assert scene.commits > 0


def test_a_topic_that_is_taken_in_at_once_moves_it_second_by_second() -> None:
    scene = Scene()
    scene.pass_seconds(10)
    first = int(START) - 2
    assert scene.told == [1000 * (first + n) for n in range(len(scene.told))]
    assert len(scene.told) in (10, 11)
    assert scene.frontier._notes == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans(), st.booleans()), max_size=12))
def test_a_note_is_never_taken_earlier_than_its_second_and_the_settling_time(steps: list[Any]) -> None:
    """However often the broker's time is seen, late or not at all, and whatever answers are missing."""
    scene = Scene()
    for seconds, away, late in steps:
        scene.away = away
        if late:  # an ack that took three seconds
            scene.clock.observe(int((scene.broker_time - 3) * 1000))
        before = len(scene.asked_at)
        scene.pass_seconds(seconds)
        for asked, note in zip(scene.asked_at[before:][::-1], scene.frontier._notes[::-1], strict=False):
            assert asked >= note.at + 2
        if scene.frontier.ms is not None:
            assert scene.frontier.ms / 1000 + 2 <= scene.asked_at[-1]


def test_an_answer_that_is_missing_voids_the_note_and_moves_nothing() -> None:
    scene = Scene()
    scene.away = True
    voided = NOTES_VOIDED._value.get()
    scene.pass_seconds(5)
    assert NOTES_VOIDED._value.get() >= voided + 4
    assert scene.frontier.ms is None
    scene.away = False
    scene.pass_seconds(2 * 5 + 2)
    assert scene.frontier.ms is not None
    assert scene.frontier.ms / 1000 > START + 2


@pytest.mark.parametrize(("away", "wait"), [(2, 4), (5, 10), (60, 20), (3600, 20)])
def test_after_an_absence_of_the_broker_publishers_get_time_to_find_it_again(away: float, wait: float) -> None:
    """What they have kept meanwhile is not there when it answers us."""
    scene = Scene()
    scene.pass_seconds(5)
    reached = scene.frontier.ms
    scene.away = True
    scene.pass_seconds(away)
    scene.away = False
    back = scene.steady
    while scene.frontier.ms == reached:
        scene.pass_seconds(0.25)
        assert scene.steady < back + 120
    assert wait <= scene.steady - back < wait + 5
    assert scene.frontier.ms is not None
    assert scene.frontier.ms / 1000 == pytest.approx(scene.broker_time - 2, abs=1.5)


def moves(scene: Scene, seconds: int) -> int:
    """How often the frontier moves in so many seconds."""
    before = len(scene.told)
    scene.pass_seconds(seconds)
    return len(scene.told) - before


@pytest.mark.parametrize("every", [2, 3, 10])
def test_a_question_now_and_then_that_gets_no_answer_costs_its_second_only(every: int) -> None:
    scene = Scene()
    scene.pass_seconds(5)
    ends, asked = scene.ends, itertools.count()

    async def sometimes() -> dict[int, int]:
        if next(asked) % every == 0:
            raise EngineFailure("asked a node that is not there")
        return await ends()

    scene.ends = sometimes  # type: ignore[method-assign]  # a broker of which one node is away
    assert moves(scene, 100) == pytest.approx(100 * (1 - 1 / every), abs=3)


def test_short_absences_one_after_another_count_together() -> None:
    scene = Scene()
    scene.pass_seconds(5)
    reached = scene.frontier.ms
    for _ in range(4):
        scene.away = True
        scene.pass_seconds(4)
        scene.away = False
        scene.pass_seconds(3)
    assert scene.frontier.ms == reached
    assert moves(scene, 15) == 0
    assert moves(scene, 15) > 5


@pytest.mark.parametrize("meanwhile", ["resting", "without the broker's time"])
def test_an_absence_is_noticed_where_no_note_is_taken(meanwhile: str) -> None:
    scene = Scene()
    scene.pass_seconds(5)
    reached = scene.frontier.ms
    if meanwhile == "resting":
        scene.needed = False
    else:
        scene.clock._appended = None
        scene.clock._observed_at = scene.steady
    scene.away = True
    scene.pass_seconds(12)
    scene.away, scene.needed = False, True
    scene.clock.observe(int(scene.broker_time * 1000))
    scene.pass_seconds(18)
    assert scene.frontier.ms == reached
    assert moves(scene, 10) > 3


def test_after_a_rest_nobody_waits_for_a_broker_that_was_there() -> None:
    scene = Scene()
    scene.pass_seconds(5)
    scene.needed = False
    scene.pass_seconds(60)
    scene.needed = True
    assert moves(scene, 3) > 1


def test_an_absence_is_noticed_though_a_commit_waits_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ingest lags with is committed while a note waits, and clients try that again until the broker is back."""
    monkeypatch.setattr(frontier_module, "COMMIT_WITHIN", 0.001)
    scene = Scene()
    scene.pass_seconds(5)
    scene.topic, reached = {0: 1, 1: 1}, scene.frontier.ms
    back = asyncio.Event()

    async def patiently() -> None:
        await back.wait()

    async def steps(seconds: float) -> None:
        until = scene.steady + seconds
        while scene.steady < until:
            scene.steady += await scene.frontier.step()

    async def absence() -> None:
        scene.frontier._commit = patiently
        await steps(2)
        scene.away = True
        await steps(10)
        scene.away = False
        scene.committed = dict(scene.topic)
        back.set()
        scene.clock.observe(int(scene.broker_time * 1000))
        await steps(17)
        assert scene.frontier.ms is not None
        assert reached is not None
        assert scene.frontier.ms <= reached + 3_000  # what was noted before
        await steps(10)
        assert scene.frontier.ms > reached + 30_000

    asyncio.run(absence())


def test_an_engine_that_follows_one_that_failed_does_not_know_how_long_the_broker_was_away() -> None:
    scene = Scene(after_failure=True)
    scene.pass_seconds(19)
    assert scene.frontier.ms is None
    scene.pass_seconds(5)
    assert scene.frontier.ms is not None


def test_a_partition_that_is_added_must_be_taken_in_too() -> None:
    scene = Scene()
    scene.pass_seconds(3)
    reached = scene.frontier.ms
    scene.topic[2] = 1
    scene.pass_seconds(5)
    assert scene.frontier.ms is not None
    assert reached is not None
    assert scene.frontier.ms <= reached + 1000
    scene.committed[2] = 1
    scene.pass_seconds(1.5)
    assert scene.frontier.ms / 1000 > START + 4


def test_a_lag_of_hours_ends_in_steps_and_takes_bounded_memory() -> None:
    """Notes are thinned evenly."""
    scene = Scene(partitions=1)
    scene.topic, scene.committed = {0: 1}, {0: 0}
    for _ in range(5 * MOST_NOTES):
        scene.topic[0] += 1
        scene.pass_seconds(1)
    assert len(scene.frontier._notes) <= MOST_NOTES
    ends = [note.ends[0] for note in scene.frontier._notes]
    assert max(later - earlier for earlier, later in itertools.pairwise(ends)) <= 10
    for end in (ends[10], ends[100]):
        scene.committed[0] = end
        scene.pass_seconds(1)
        assert scene.frontier.ms is not None
        assert scene.frontier.ms / 1000 - START == pytest.approx(end, abs=5)
    assert len(scene.told) == 2


def test_its_age_is_what_has_passed_since_the_second_it_stands_at() -> None:
    """From the start while there is none; none where nothing could wait for it."""
    scene = Scene()
    scene.committed = {0: -1, 1: -1}
    scene.pass_seconds(30)
    assert scene.frontier.age == pytest.approx(30, abs=0.1)
    scene.committed = {0: 0, 1: 0}
    scene.pass_seconds(0.5)
    assert 2 <= scene.frontier.age <= 3.6
    scene.needed = False
    scene.pass_seconds(30)
    assert scene.frontier.age == 0
    scene.needed, scene.away = True, True
    scene.pass_seconds(1)
    assert scene.frontier.age > 30


def test_the_brokers_time_is_never_thought_later_than_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine's clock is set to; clocks that are being corrected run apart a little."""
    steady = 0.0
    clock = BrokerClock(lambda: steady)
    assert clock.now is None
    assert clock.wants_observation
    clock.observe(5_000_000)
    monkeypatch.setattr(time, "time", lambda: 9e9)
    steady = 10.0
    assert clock.now == pytest.approx(5_010 - 10 * DRIFT, abs=DRIFT)
    steady = OBSERVE_EVERY + 0.1
    assert clock.wants_observation
    steady = FORGET_AFTER + 0.1
    assert clock.now is None


def test_seconds_that_have_not_passed_are_forgotten_when_the_brokers_clock_is_set_right() -> None:
    """It was ten minutes ahead: what waits for a time to come must not be taken for due."""
    scene = Scene()
    scene.clock.observe(int((scene.broker_time + 600) * 1000))
    scene.pass_seconds(5)
    assert (scene.told[-1] or 0) / 1000 > START + 590
    scene.clock.observe(int(scene.broker_time * 1000))
    scene.committed = {0: -1, 1: -1}
    scene.pass_seconds(2)
    assert scene.told[-1] is None
    scene.committed = {0: 0, 1: 0}
    scene.pass_seconds(1)
    assert START < (scene.frontier.ms or 0) / 1000 < START + 7
