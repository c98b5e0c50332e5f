"""Records in, chunks out: the state and what is sent do not depend on batches, chunks or crashes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamnotify.errors import BadRecord, EngineFailure
from streamnotify.stations.context import Context, Due, Folding
from streamnotify.stream import engine_rows
from streamnotify.stream.layers import CHUNK_BYTES, IDENTITY, RECORD_ID
from streamnotify.wire.topics import DEAD_LETTERS
from tests.stream.one_partition import CRASHES, IN, NEXT, NOTE, PUBLIC, OnePartition, station

COMMANDS = st.fixed_dictionaries(
    {"key": st.sampled_from("abc")},
    optional={
        "size": st.sampled_from([10, 300_000, 500_000, 900_000]),  # bytes put; the last is too many for a chunk
        "wake_in": st.integers(-5_000, 5_000),  # milliseconds
        "poison": st.sampled_from(["bad", "bug"]),
        "emits": st.integers(0, 3),
        "start": st.integers(1, 3),
        "source": st.tuples(st.sampled_from(["x/1/0", "y/1/0"]), st.integers(0, 1), st.integers(0, 9)),
        "tick": st.just(True),
    },
)
RUNS = {
    "sizes": st.lists(st.integers(1, 6), max_size=20),
    "crashes": st.lists(st.sampled_from(CRASHES), max_size=20),
}


def obey(command: Any, ctx: Context) -> None:
    """Count, and do what the command asks for; a wake counts too."""
    if isinstance(command, Due):
        key, more = command.key, {}
    else:
        key, more = command["key"], command
    note = ctx.get(NOTE, key) or {"count": 0, "seen_at": []}
    ctx.put(NOTE, key, {"count": note["count"] + 1, "seen_at": [*note["seen_at"], ctx.now.timestamp()]})
    for _ in range(more.get("emits", 1)):
        ctx.emit(NEXT, key, [key, note["count"]])
        ctx.emit(PUBLIC, key, [key, note["count"]])
    if "size" in more:
        ctx.put(NOTE, f"big {key}", "x" * more["size"])
    if "start" in more:
        ctx.start(key, more["start"])
    if "wake_in" in more:
        ctx.wake(NOTE, key, ctx.now + timedelta(milliseconds=more["wake_in"]))
    if more.get("poison") == "bad":
        raise BadRecord("is bad", field="poison")
    if more.get("poison") == "bug":
        raise RuntimeError("fails every time")


def write_log(partition: OnePartition, commands: list[dict[str, Any]]) -> None:
    """The commands a second and a half apart, with identities and ticks where they ask for them."""
    for n, command in enumerate(commands, 1):
        if "source" in command:
            source, epoch, offset = command["source"]
            headers = [(IDENTITY, b"%s/%d/%d/0" % (source.encode(), epoch, offset))]
        else:
            headers = []
        partition.append(command, at_ms=n * 1_500, key=command["key"].encode(), headers=headers)
        if "tick" in command:
            partition.tick(n * 1_500 + 700)


@settings(max_examples=200, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=15), **RUNS)
def test_no_split_into_batches_and_no_crash_changes_the_state_or_what_is_sent(
    commands: list[dict[str, Any]], sizes: list[int], crashes: list[str]
) -> None:
    """Rows to the byte, and the set of distinct emissions with their content."""
    calm, rough = OnePartition(station(obey)), OnePartition(station(obey))
    for partition in (calm, rough):
        write_log(partition, commands)
    calm.run(sizes=[1] * len(calm.log))
    rough.run(sizes, crashes)
    assert rough.store.rows == calm.store.rows
    assert rough.distinct() == calm.distinct()


@settings(max_examples=60, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=15), **RUNS)
@example(commands=[{"key": "a", "size": 500_000}, {"key": "b", "size": 500_000}], sizes=[], crashes=[])
def test_a_chunk_is_within_its_limit_and_holds_whole_records_and_their_position(
    commands: list[dict[str, Any]], sizes: list[int], crashes: list[str]
) -> None:
    partition = OnePartition(station(obey))
    write_log(partition, commands)
    partition.run(sizes, crashes)
    applied = -1
    for chunk in partition.chunks:
        position = engine_rows.decode_position(chunk.rows[engine_rows.POSITION])
        assert position.applied == applied + chunk.records
        applied = position.applied
        own = {key: value for key, value in chunk.rows.items() if key[0] > 0x20}
        assert sum(len(key) + len(value or b"") for key, value in own.items()) <= CHUNK_BYTES
    assert applied == len(partition.log) - 1


def test_a_record_that_does_not_fit_any_more_is_not_taken_for_applied_when_the_worker_dies_before_its_chunk() -> None:
    """Its identity must be persisted with its own chunk, not with the one before."""
    partition = OnePartition(station(obey))
    for n in range(3):
        headers = [(IDENTITY, b"source/0/%d/0" % n)]
        partition.append({"key": "a", "size": 500_000, "emits": n}, headers=headers)
    partition.run(crashes=["persisted, not acked"])
    assert partition.rows()["a"]["count"] == 3


def test_an_emission_that_comes_again_is_applied_once() -> None:
    """Not higher than the highest of its source partition: dropped; other sources and epochs count apart."""
    partition = OnePartition(station(obey))
    seen = [b"s/0/4/0", b"s/0/4/1", b"s/0/4/0", b"s/0/3/9", b"other/0/1/0", b"s/0/4/1", b"s/1/0/0", b"s/0/9/0"]
    for identity in seen:
        partition.append({"key": "a"}, headers=[(IDENTITY, identity)])
    partition.run(sizes=[3, 1, 4])
    assert partition.rows()["a"]["count"] == 4  # s 4/0, s 4/1, other, s of epoch 1


def test_identities_are_honoured_on_internal_topics_only() -> None:
    """Whoever may write to a public topic cannot have other records dropped."""
    got = []
    partition = OnePartition(station(lambda record, ctx: got.append(record.offset), inputs=(PUBLIC,), rows=()))
    for _ in range(2):
        partition.append({"key": "a"}, headers=[(IDENTITY, b"s/0/4/0")])
    partition.run()
    assert got == [0, 1]


def test_emissions_say_where_they_come_from() -> None:
    """Station, topic id, partition, epoch, offset and index; on public topics as sn-id."""
    partition = OnePartition(station(obey))
    partition.append({"key": "a", "emits": 1})
    partition.append({"key": "a", "emits": 2})
    partition.run()
    headers = [emission.headers for emission in partition.sent]
    assert headers[0] == [(IDENTITY, b"toy/topic-id/0/0/0/0")]
    assert headers[1] == [(RECORD_ID, b"toy/topic-id/0/0/0/1")]
    assert [value for [(_, value)] in headers[2:]] == [b"toy/topic-id/0/0/1/%d" % index for index in range(4)]


def test_now_is_the_append_time_and_never_runs_backwards() -> None:
    """A new leader's clock may be behind the old one's; also across chunks and crashes."""
    partition = OnePartition(station(obey))
    for at_ms in (5_000, 3_000, 6_000, 1_000):
        partition.append({"key": "a"}, at_ms=at_ms)
    partition.run(sizes=[1, 1, 1, 1], crashes=["none", "persisted, not acked", "emitted, not persisted"])
    assert partition.rows()["a"]["seen_at"] == [5.0, 5.0, 6.0, 6.0]


def test_a_station_on_public_topics_has_no_clock() -> None:
    """DESIGN 3.3: publishers choose the timestamps there."""
    times: list[Any] = []
    partition = OnePartition(station(lambda record, ctx: times.append(ctx.now), inputs=(PUBLIC,), rows=()))
    partition.append({"key": "a"})
    partition.run()
    assert times == []
    assert [emission.topic for emission in partition.sent] == [DEAD_LETTERS]


def test_nothing_of_a_record_that_fails_takes_effect() -> None:
    """Rows, wakes, emissions and attempts are thrown away; the next record sees none of them."""
    partition = OnePartition(station(obey))
    everything = {"key": "a", "emits": 3, "size": 10, "start": 1, "wake_in": 5}
    for poison in ("bad", "bug"):
        partition.append({**everything, "poison": poison})
    partition.run()
    assert [key for key in partition.store.rows if key != engine_rows.POSITION] == []
    assert partition.started == []
    assert [emission.topic for emission in partition.sent] == [DEAD_LETTERS, DEAD_LETTERS]


@pytest.mark.parametrize(("poison", "tries"), [("bad", b"1"), ("bug", b"3")])
def test_a_bug_is_tried_three_times_and_a_bad_record_once(poison: str, tries: bytes) -> None:
    """The dead letter carries the number, and the record untouched."""
    handled = []

    def handle(command: Any, ctx: Context) -> None:
        handled.append(command)
        obey(command, ctx)

    partition = OnePartition(station(handle))
    partition.append({"key": "a", "poison": poison}, key=b"k", headers=[("own", b"header")])
    partition.run()
    [letter] = partition.sent
    assert len(handled) == int(tries)
    assert dict(letter.headers)["sn-attempts"] == tries
    assert (letter.key, letter.value) == (b"k", partition.log[0].value)
    assert dict(letter.headers)["own"] == b"header"


def test_a_verdict_that_might_have_been_another_is_persisted_before_anything_later_is_sent() -> None:
    """A handler that failed three times may succeed after a crash: what follows must not have been sent before."""
    partition = OnePartition(station(obey))
    for more in ({}, {"poison": "bug"}, {}):
        partition.append({"key": "a", **more})
    partition.run()
    assert [chunk.position.applied for chunk in partition.chunks] == [1, 2]


def test_an_engine_failure_is_no_verdict_about_the_record() -> None:
    """DESIGN 3.12: infrastructure errors end the process."""

    def fail(*_: Any) -> None:
        raise EngineFailure("the disk is gone")

    partition = OnePartition(station(fail))
    partition.append({"key": "a"})
    with pytest.raises(EngineFailure):
        partition.run()
    assert (partition.sent, partition.store.rows) == ([], {})


def test_bytes_that_are_no_command_are_dead_lettered() -> None:
    """And the rest goes on."""
    partition = OnePartition(station(obey))
    for value in (b"\xc1", None, b""):
        partition.append(value)
    partition.append({"key": "a"})
    partition.run()
    assert partition.rows()["a"]["count"] == 1
    assert [emission.value for emission in partition.sent if emission.topic is DEAD_LETTERS] == [b"\xc1", None, b""]


def test_a_result_is_handled_once_and_only_while_its_attempt_is_open() -> None:
    """Stale ones, repeated ones and those nobody asked for come to nothing."""
    partition = OnePartition(station(obey))
    partition.append({"key": "a", "start": 2})
    for number in (1, 2, 2, 3):
        partition.result({"key": "a"}, b"a", number)
    partition.run(sizes=[2, 1, 1, 1])
    assert partition.rows()["a"]["count"] == 2
    assert partition.started == [("a", 2)]
    assert not [key for key in partition.store.rows if key.startswith(engine_rows.OPEN)]


@given(numbers=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 9)), max_size=30))
def test_folding_keeps_the_sum_and_never_crosses_what_cannot_be_folded(
    numbers: list[tuple[str, int]],
) -> None:
    """Per key the folded commands add up to the same, and negative ones stay apart and in their place."""

    def handle(record: Any, ctx: Context) -> None:
        ctx.emit(NEXT, record.key, IN.decode(record.value))  # type: ignore[misc]  # an internal topic decodes

    def combine(a: list[Any], b: list[Any]) -> list[Any] | None:
        return None if min(a[1], b[1]) < 0 else [a[0], a[1] + b[1]]

    folding = Folding(identity=lambda command: command[0], combine=combine)
    partition = OnePartition(station(handle, inputs=(PUBLIC,), rows=(), folding=folding))
    for key, n in numbers:
        partition.append([key, n], key=key.encode())
    partition.run()
    for key in "abc":
        sent = [IN.decode(e.value or b"")[1] for e in partition.sent if e.key == key.encode()]  # type: ignore[misc]
        given_ = [n for k, n in numbers if k == key]
        assert _folded(given_) == sent


def _folded(numbers: list[int]) -> list[int]:
    folded: list[int] = []
    for n in numbers:
        if folded and min(folded[-1], n) >= 0:
            folded[-1] += n
        else:
            folded.append(n)
    return folded
