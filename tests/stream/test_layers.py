"""Overlays: a record sees what it and its chunk have changed; sizes are counted where they are made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.stations.context import Context
from streamnotify.stream.layers import CHUNK_BYTES, Layer, Origin, RecordContext
from streamnotify.testing.memory import MemoryStore
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import DEAD_LETTERS
from tests.stream.one_partition import NEXT, NOTE, OnePartition, station

WRITES = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=4)), max_size=8)


@given(stored=st.dictionaries(st.sampled_from([b"a", b"b", b"c"]), st.binary(max_size=4)), lower=WRITES, upper=WRITES)
def test_a_layer_reads_as_if_everything_below_had_been_written(
    stored: dict[bytes, bytes], lower: Any, upper: Any
) -> None:
    """And reads the same after it has been laid onto the one below."""
    store = MemoryStore()
    store.rows = dict(stored)
    model: dict[bytes, bytes | None] = dict(stored)
    below = Layer(store)
    above = Layer(below)
    for layer, writes in ((below, lower), (above, upper)):
        for key, value in writes:
            layer.write(key, value)
            model[key] = value
    assert {key: above.read(key) for key in (b"a", b"b", b"c")} == {key: model.get(key) for key in (b"a", b"b", b"c")}
    size = below.size + above.size
    below.absorb(above)
    assert {key: below.read(key) for key in (b"a", b"b", b"c")} == {key: model.get(key) for key in (b"a", b"b", b"c")}
    assert below.size == size
    assert store.rows == stored


KEYS = st.sampled_from([f"{task}:{n}" for task in ("a", "aa", "b") for n in range(4)])
PUTS = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 9)), max_size=8)
ORDERED = Row(b"o", int, ordered=True)


@given(stored=st.dictionaries(KEYS, st.integers(0, 9)), lower=PUTS, upper=PUTS, start=KEYS, stop=KEYS)
def test_a_scan_goes_back_through_what_is_there_after_all_changes(
    stored: dict[str, int], lower: Any, upper: Any, start: str, stop: str
) -> None:
    """From the end of the range, whatever of it lies in the store, in the chunk or in the record's own changes."""
    store = MemoryStore()
    store.rows = {ORDERED.key(key): ORDERED.encode(value) for key, value in stored.items()}
    store.rows |= {b"n" + key.encode(): b"another kind" for key in stored}
    model = dict(stored)
    origin = Origin(b"", 0, 0, {})
    below = RecordContext(Layer(store), origin)
    above = RecordContext(below, origin)
    for context, puts in ((below, lower), (above, upper)):
        for key, value in puts:
            if value is None:
                context.delete(ORDERED, key)
                model.pop(key, None)
            else:
                context.put(ORDERED, key, value)
                model[key] = value
    expected = sorted(((key, value) for key, value in model.items() if start <= key < stop), reverse=True)
    assert list(above.scan(ORDERED, start, stop)) == expected
    below.absorb(above)
    assert list(below.scan(ORDERED, start, stop)) == expected


def test_a_record_sees_what_it_and_earlier_records_have_written() -> None:
    """Within one chunk, before anything is persisted."""
    seen: list[Any] = []

    def handle(command: Any, ctx: Context) -> None:
        seen.append(ctx.get(NOTE, "n"))
        ctx.put(NOTE, "n", command)
        seen.append(ctx.get(NOTE, "n"))
        ctx.delete(NOTE, "n")
        seen.append(ctx.get(NOTE, "n"))
        ctx.put(NOTE, "n", command)

    partition = OnePartition(station(handle))
    for n in (1, 2):
        partition.append(n)
    partition.run()
    assert len(partition.chunks) == 1
    assert seen == [None, 1, None, 1, 2, None]


@pytest.mark.parametrize("where", ["put", "emit", "both"])
def test_a_record_that_changes_more_than_a_chunk_holds_is_a_bad_record(where: str) -> None:
    """Rows and emissions count together; a bit less is fine, and what comes after goes on (DESIGN 3.5)."""

    def handle(command: Any, ctx: Context) -> None:
        half = "x" * (command // 2)
        ctx.put(NOTE, "a", half if where != "emit" else 1)
        ctx.emit(NEXT, "a", half if where != "put" else 1)
        if where == "put":
            ctx.put(NOTE, "b", half)
        elif where == "emit":
            ctx.emit(NEXT, "b", half)

    partition = OnePartition(station(handle))
    for size in (CHUNK_BYTES - 1000, CHUNK_BYTES + 1, 10):
        partition.append(size)
    partition.run()
    letters = [e for e in partition.sent if e.topic is DEAD_LETTERS]
    assert [letter.value for letter in letters] == [partition.log[1].value]
    assert dict(letters[0].headers)["sn-error-class"] == b"poison"
    assert {e.value for e in partition.sent if e.topic is NEXT}
    assert partition.chunks[-1].position.applied == 2


def test_dead_letters_are_outside_the_count() -> None:
    """A record of nearly 2 MiB can be dead-lettered too (DESIGN 3.5)."""
    partition = OnePartition(station(lambda command, ctx: None))
    partition.append(b"\xc1" * 2_000_000)
    partition.append(1)
    partition.run()
    assert [len(e.value or b"") for e in partition.sent] == [2_000_000]


def test_a_chunk_ends_so_that_the_event_loop_gets_its_turn() -> None:
    """However small the records are."""
    partition = OnePartition(station(lambda command, ctx: None))
    for n in range(4_500):
        partition.append(n)
    partition.run()
    assert [chunk.records for chunk in partition.chunks] == [2_000, 2_000, 500]
