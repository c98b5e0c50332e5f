"""Wakes: each comes once, in order, never early, whatever is set, moved or cancelled, also by other wakes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.stations.context import Context, Due, WaitsFor
from streamnotify.stream import engine_rows, processor, wakes
from streamnotify.stream.engine_rows import DUE, WAKE
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import DEAD_LETTERS
from tests.stream.one_partition import CRASHES, NOTE, PUBLIC, OnePartition, station

KEYS = "abc"
BROKER, FRONTIER = WaitsFor.BROKER, WaitsFor.FRONTIER
# The wake of a key is set (to a time in milliseconds) or cancelled (None).
ACTIONS = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.integers(0, 40)), min_size=1, max_size=3)
STEPS = st.lists(
    st.fixed_dictionaries({"do": ACTIONS})
    | st.fixed_dictionaries({"when": st.sampled_from(KEYS), "wakes": ACTIONS})
    | st.fixed_dictionaries({"tick_after": st.integers(1, 12)}),
    max_size=25,
)


def ms(at: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return round(at.timestamp() * 1000)


def at(milliseconds: float) -> datetime:
    """The instant so long after the epoch."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def act(actions: Iterable[tuple[str, int | None]], ctx: Context) -> None:
    """Set and cancel wakes, and note it."""
    for key, due in actions:
        note = ctx.get(NOTE, key) or {"then": []}
        ctx.put(NOTE, key, {**note, "asleep_until": due, "since": ms(ctx.now)})
        ctx.wake(NOTE, key, None if due is None else at(due))


def sleep_and_wake(command: Any, ctx: Context) -> None:
    """Do as told; a key that wakes up checks that it was asleep and that it is time, then does what it is to do."""
    if isinstance(command, Due):
        note = ctx.get(NOTE, command.key)
        assert note is not None
        assert note["asleep_until"] is not None, "woken without having been asleep"
        assert note["asleep_until"] <= ms(command.at) <= ms(ctx.now), "woken early"
        ctx.put(NOTE, command.key, {"then": [], "asleep_until": None})
        ctx.emit(PUBLIC, command.key, [command.key, ms(command.at), ms(ctx.now)])
        act(note["then"], ctx)
    elif "do" in command:
        act(command["do"], ctx)
    else:
        note = ctx.get(NOTE, command["when"]) or {"asleep_until": None}
        ctx.put(NOTE, command["when"], {**note, "then": command["wakes"]})


def run_script(partition: OnePartition, steps: list[dict[str, Any]]) -> int:
    """Append the steps; ticks at even milliseconds, everything else at odd ones. Returns the next even one."""
    now = 0
    for step in steps:
        if "tick_after" in step:
            now += 2 * step["tick_after"]
            partition.tick(now)
        else:
            partition.append(step, at_ms=now + 1)
    return now + 2


def fired(partition: OnePartition) -> list[list[Any]]:
    """``[key, due, now]`` of every wake that came, in order."""
    return [msgspec.json.decode(e.value or b"") for e in partition.sent if e.topic is PUBLIC]


def index_rows(partition: OnePartition) -> list[bytes]:
    """What the index of wakes still holds."""
    return [key for key in partition.store.rows if key[:1] in (DUE, WAKE)]


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_whoever_is_asleep_wakes_at_the_first_tick_after_its_time_and_only_then(steps: list[dict[str, Any]]) -> None:
    """Checked after every tick: nobody whose time had come when the tick began is still asleep."""
    partition = OnePartition(station(sleep_and_wake))
    run_script(partition, steps)
    records, partition.log = partition.log, []
    for record in records:
        partition.log.append(record)
        before = partition.rows()
        partition.run()
        if record.headers:
            late = [
                key
                for key, note in partition.rows().items()
                if note["asleep_until"] is not None and note["asleep_until"] <= record.timestamp
                if note["since"] != record.timestamp and before.get(key) == note
            ]
            assert late == []
    assert not [e for e in partition.sent if e.topic is DEAD_LETTERS], "see the handler's assertions"
    assert all(due <= now for _, due, now in fired(partition))


@settings(max_examples=200, deadline=None)
@given(steps=STEPS, sizes=st.lists(st.integers(1, 5), max_size=15), crashes=st.lists(st.sampled_from(CRASHES)))
def test_no_wake_is_lost_or_left_behind_in_the_end_whatever_crashes(
    steps: list[dict[str, Any]], sizes: list[int], crashes: list[str]
) -> None:
    """After enough ticks nobody sleeps and the index is empty; batches and crashes change nothing."""
    calm, rough = OnePartition(station(sleep_and_wake)), OnePartition(station(sleep_and_wake))
    for partition in (calm, rough):
        now = run_script(partition, steps)
        for n in range(30):  # each wake may set others: far more than 25 steps can
            partition.tick(now + 100 + n)
    calm.run()
    rough.run(sizes, crashes)
    assert index_rows(calm) == []
    assert {note["asleep_until"] for note in calm.rows().values()} <= {None}
    assert rough.store.rows == calm.store.rows
    assert rough.distinct() == calm.distinct()


def test_wakes_come_in_the_order_they_are_due() -> None:
    """Whatever the order in which they were set."""
    partition = OnePartition(station(sleep_and_wake))
    partition.append({"do": [("c", 30), ("a", 20), ("b", 10)]})
    partition.tick(30)
    partition.run()
    assert fired(partition) == [["b", 10, 30], ["a", 20, 30], ["c", 30, 30]]


def test_a_wake_set_by_another_for_a_time_this_tick_has_passed_comes_with_the_next_tick() -> None:
    """It lies between two wakes of one tick: the second must not leave it behind."""
    partition = OnePartition(station(sleep_and_wake))
    partition.append({"do": [("a", 10), ("b", 30)]})
    partition.append({"when": "a", "wakes": [("c", 20)]})
    partition.tick(40)
    partition.tick(50)
    partition.run()
    assert [key for key, _, _ in fired(partition)] == ["a", "b", "c"]


def test_a_wake_that_is_set_again_by_its_own_handler_comes_again() -> None:
    """Even for the very same time, or an earlier one."""
    for again in (10, 5):
        partition = OnePartition(station(sleep_and_wake))
        partition.append({"do": [("a", 10)]})
        partition.append({"when": "a", "wakes": [("a", again)]})
        for now in (10, 20, 30):
            partition.tick(now)
        partition.run()
        assert [now for _, _, now in fired(partition)] == [10, 20]


def test_a_wake_for_a_row_that_is_gone_is_nothing() -> None:
    """And its index rows go too."""

    def handle(command: Any, ctx: Context) -> None:
        ctx.put(NOTE, "a", 1)
        ctx.wake(NOTE, "a", at(10))
        if command == "forget":
            ctx.delete(NOTE, "a")
        assert not isinstance(command, Due)

    partition = OnePartition(station(handle))
    partition.append("forget")
    partition.tick(20)
    partition.run()
    assert (partition.sent, index_rows(partition)) == ([], [])


def test_setting_a_wake_again_moves_it() -> None:
    """The old index row is removed with it (DESIGN section 9)."""
    partition = OnePartition(station(sleep_and_wake))
    partition.append({"do": [("a", 10)]})
    partition.append({"do": [("a", 30)]})
    partition.run()
    assert len(index_rows(partition)) == 2  # one DUE row and the WAKE row that points to it
    partition.tick(20)
    partition.tick(30)
    partition.run()
    assert fired(partition) == [["a", 30, 30]]


def test_a_wake_may_wait_for_the_frontier() -> None:
    """It comes when the frontier has passed it, and never before the broker's own time has."""

    def handle(command: Any, ctx: Context) -> None:
        if isinstance(command, Due):
            ctx.emit(PUBLIC, command.key, [command.key, ms(command.at), ms(ctx.now)])
            return
        for key, waits_for in (("broker", BROKER), ("frontier", FRONTIER)):
            ctx.put(NOTE, key, 1)
            ctx.wake(NOTE, key, at(10), waits_for=waits_for)

    partition = OnePartition(station(handle))
    partition.append("both")
    partition.tick(20, frontier_ms=None)
    partition.tick(30, frontier_ms=9)
    partition.tick(40, frontier_ms=10)
    partition.run()
    assert fired(partition) == [["broker", 10, 20], ["frontier", 10, 40]]


def test_a_tick_handles_a_limited_number_and_the_next_ones_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, each once."""
    monkeypatch.setattr(processor, "WAKES_PER_TICK", 2)
    partition = OnePartition(station(sleep_and_wake))
    partition.append({"do": [(f"k{n}", 10 + n) for n in range(5)]})
    for now in (20, 20, 20, 20):
        partition.tick(now)
    partition.run()
    assert [key for key, _, _ in fired(partition)] == ["k0", "k1", "k2", "k3", "k4"]
    assert [len(chunk.emissions) for chunk in partition.chunks] == [0, 2, 2, 1, 0]


def test_a_tick_stops_before_its_chunk_gets_too_large() -> None:
    """The wakes left over come with the next tick, exactly once."""

    def handle(command: Any, ctx: Context) -> None:
        if isinstance(command, Due):
            ctx.put(NOTE, command.key, "x" * 300_000)
            ctx.emit(PUBLIC, command.key, [command.key, 0, 0])
            return
        for n in range(5):
            ctx.put(NOTE, f"k{n}", 1)
            ctx.wake(NOTE, f"k{n}", at(10 + n))

    partition = OnePartition(station(handle))
    partition.append("sleep")
    for now in (20, 30, 40, 50):
        partition.tick(now)
    partition.run()
    assert [key for key, _, _ in fired(partition)] == ["k0", "k1", "k2", "k3", "k4"]
    assert len(partition.distinct()) == 5


def test_a_handler_that_fails_on_a_wake_costs_a_dead_letter_and_not_the_other_wakes() -> None:
    """Two that fail in one tick are two dead letters, told apart by their sn-id."""

    def handle(command: Any, ctx: Context) -> None:
        if isinstance(command, Due):
            ctx.emit(PUBLIC, command.key, [command.key, 0, 0])
            if command.key.startswith("bad"):
                raise RuntimeError(f"no luck with {command.key}")
            return
        for n, key in enumerate(("bad 1", "good 1", "bad 2", "good 2")):
            ctx.put(NOTE, key, 1)
            ctx.wake(NOTE, key, at(10 + n))

    partition = OnePartition(station(handle))
    partition.append("sleep")
    for now in (20, 30, 40, 50):
        partition.tick(now)
    partition.run()
    assert [key for key, _, _ in fired(partition)] == ["good 1", "good 2"]
    letters = [dict(e.headers) for e in partition.sent if e.topic is DEAD_LETTERS]
    assert [letter["sn-reason"] for letter in letters] == [b"no luck with bad 1", b"no luck with bad 2"]
    assert len({letter["sn-id"] for letter in letters}) == 2
    assert index_rows(partition) == []


def test_what_a_wake_emits_has_the_same_identity_whichever_try_succeeds() -> None:
    """Else what comes after it, sent again after a crash, would be taken for something that came before."""

    def sent(failures: int) -> list[tuple[bytes | None, dict[str, bytes | None]]]:
        left = [failures]

        def handle(command: Any, ctx: Context) -> None:
            if not isinstance(command, Due):
                for n, key in enumerate(("a", "b")):
                    ctx.put(NOTE, key, 1)
                    ctx.wake(NOTE, key, at(10 + n))
                return
            ctx.emit(PUBLIC, command.key, [command.key, 0, 0])
            left[0] -= 1
            if left[0] >= 0:
                raise RuntimeError("not this time")

        partition = OnePartition(station(handle))
        partition.append("sleep")
        partition.tick(20)
        return [(emission.key, dict(emission.headers)) for emission in partition.run().sent]

    assert sent(failures=2) == sent(failures=0)


def test_a_wake_is_never_rounded_down() -> None:
    """It may come a part of a millisecond late, not early."""
    assert wakes.milliseconds(at(10)) == 10
    assert wakes.milliseconds(at(10.001)) == 11
    assert wakes.parse_due_key(wakes.due_key(BROKER, 11, b"nx")) == (11, b"nx")


@given(st.tuples(st.sampled_from(WaitsFor), st.integers(0, 2**62), st.binary(max_size=9)), st.data())
def test_index_keys_sort_by_clock_then_time(first: tuple[WaitsFor, int, bytes], data: st.DataObject) -> None:
    """So that the first due wake is the first row."""
    second = data.draw(st.tuples(st.sampled_from(WaitsFor), st.integers(0, 2**62), st.binary(max_size=9)))
    assert (wakes.due_key(*first) < wakes.due_key(*second)) == (first < second)


def test_the_fired_position_is_a_row_of_the_same_batch() -> None:
    """Looking for due wakes starts behind it, not at the tombstones of those that have come (DESIGN 3.9)."""
    partition = OnePartition(station(sleep_and_wake))
    partition.append({"do": [("a", 10)]})
    partition.tick(20)
    partition.run()
    position = engine_rows.decode_position(partition.chunks[-1].rows[engine_rows.POSITION])
    assert position.fired == {BROKER: wakes.due_key(BROKER, 10, NOTE.key("a"))}


def test_a_wake_of_a_kind_of_row_that_is_no_more_costs_a_dead_letter_and_not_the_other_wakes() -> None:
    """A release may drop a kind of row while such rows sleep."""
    gone: Row[Any] = Row(b"g", object)

    def handle(command: Any, ctx: Context) -> None:
        if isinstance(command, Due):
            ctx.emit(PUBLIC, command.key, [command.key, 0, 0])
            return
        for n, (row, key) in enumerate(((NOTE, "first"), (gone, "second"), (NOTE, "third"))):
            ctx.put(row, key, 1)
            ctx.wake(row, key, at(10 + n))

    partition = OnePartition(station(handle))
    partition.append("sleep")
    for now in (20, 30, 40):
        partition.tick(now)
    partition.run()
    assert [key for key, _, _ in fired(partition)] == ["first", "third"]
    assert len([e for e in partition.sent if e.topic is DEAD_LETTERS]) == 1


def test_a_tick_ends_with_the_wake_that_has_looked_at_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is due comes with the next one, so that no tick holds up the lease; the same each time."""
    monkeypatch.setattr(processor, "SCANNED_PER_TICK", 5)
    looked_at = Row(b"o", int, ordered=True)

    def look(command: Any, ctx: Context) -> None:
        if isinstance(command, Due):
            ctx.emit(PUBLIC, command.key, len(list(ctx.scan(looked_at, "", "z"))))
            return
        for number in range(3):
            ctx.put(looked_at, f"{number}", number)
        for key in KEYS:
            ctx.put(NOTE, key, {})
            ctx.wake(NOTE, key, at(1))

    partition = OnePartition(station(look, rows=(NOTE, looked_at)))
    partition.append({})
    partition.tick(2)
    partition.run()
    assert [emission.key for emission in partition.sent] == [b"a", b"b"]
    partition.tick(4)
    partition.run()
    assert [emission.key for emission in partition.sent] == [b"a", b"b", b"c"]
