"""What every station may rely on (DESIGN section 3), on the in-memory engine and on a real broker alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.processor import RESULT
from streamnotify.wire.topics import DEAD_LETTERS
from tests.stream.contract.harness import Contract, KafkaHarness, MemoryHarness
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.pipeline import BIG, COUNT, COUNTS, NUMBERS, PERFORMED, SLEEP, SUMS, Add, Performed

IDENTITY = "sn-from"  # spelt out: the header's name is part of what lies in the logs of running systems


@pytest.fixture(scope="module")
def running(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaPipeline]:
    """The test pipeline on the shared broker with one worker, which all tests of this module share."""
    directory = tmp_path_factory.mktemp("contract")
    deployment = KafkaPipeline(kafka.bootstrap_servers, f"contract{directory.stat().st_ino}", directory, partitions=2)
    deployment.create_topics()
    deployment.start(1)
    yield deployment
    deployment.close()


@pytest.fixture(params=["memory", "kafka"])
def engine(request: pytest.FixtureRequest) -> Contract:
    """Each engine in turn."""
    if request.param == "memory":
        return Contract(MemoryHarness())
    return Contract(KafkaHarness(request.getfixturevalue("running"), request.node.name))


def test_a_number_goes_through_all_stations(engine: Contract) -> None:
    """Read from a public topic, counted, passed on, counted again."""
    key = engine.key("a")
    engine.number(key, n=3)
    engine.settled(key, n=3)
    assert engine.counted(key, "counter") == 3


def test_numbers_published_together_are_folded_before_they_are_passed_on(engine: Contract) -> None:
    """Fewer commands, the same sum; what cannot be folded stays apart and in its place."""
    key = engine.key("a")
    for n in range(1, 101):
        engine.number(key, n=n, say=n == 50)
    engine.settled(key, n=5050)
    passed_on = [COUNTS.decode(r.value or b"") for r in engine.log(COUNTS) if r.key == key.encode()]  # type: ignore[misc]
    assert sum(command.n for command in passed_on) == 5050
    assert len(passed_on) < 50
    assert [command.n for command in passed_on if command.say] == [50]


def test_an_emission_that_comes_again_is_applied_once(engine: Contract) -> None:
    """Whether to a stateful station's own state or to what it passes on (DESIGN 3.7)."""
    first, second, marker = engine.key("first"), engine.key("second"), engine.key("marker")
    source = engine.key("source").replace("/", "").encode()
    for key, identity in (
        (first, b"0/7/0"),
        (second, b"0/7/1"),
        (first, b"0/7/0"),
        (second, b"0/7/1"),
        (first, b"0/6/0"),
    ):
        engine.add(key, headers=[(IDENTITY, source + b"/" + identity)])
    engine.add(marker)
    engine.settled(first, second, marker)
    assert [engine.counted(key, "counter") for key in (first, second)] == [1, 1]
    assert [engine.counted(key) for key in (first, second)] == [1, 1]


def test_a_repeated_emission_of_a_station_is_applied_once(engine: Contract) -> None:
    """What a worker that died before persisting sends again, byte by byte."""
    key, marker = engine.key("a"), engine.key("marker")
    engine.add(key, n=5)
    engine.settled(key, n=5)
    [passed_on] = [record for record in engine.log(SUMS) if record.key == key.encode()]
    assert IDENTITY in passed_on.headers
    engine.put(SUMS, passed_on.value, key=key, headers=list(passed_on.headers.items()))
    engine.put(SUMS, Add(marker), key=marker)
    engine.settled(marker)
    assert engine.counted(key) == 5


def test_what_is_emitted_everywhere_comes_to_each_partition_once(engine: Contract) -> None:
    """From a stateful station, also if the worker died before persisting and sends it again, byte by byte."""
    key, marker = engine.key("a"), engine.key("marker")
    engine.add(key, n=5, everywhere="sums")
    engine.until(lambda: engine.counted_in_each(key) == [5] * engine.partitions)
    sent = [record for record in engine.log(SUMS) if key in (record.value or b"").decode(errors="replace")]
    assert [record.partition for record in sent] == list(range(engine.partitions))
    assert len({record.headers[IDENTITY] for record in sent}) == 1
    for record in sent:
        engine.put(SUMS, record.value, headers=list(record.headers.items()), partition=record.partition)
    engine.add(marker, everywhere="sums")
    engine.until(lambda: engine.counted_in_each(marker) == [1] * engine.partitions)
    assert engine.counted_in_each(key) == [5] * engine.partitions


def test_what_a_folding_station_emits_everywhere_is_folded_by_itself(engine: Contract) -> None:
    """Each partition gets the sum, and what goes to one partition only is not mixed with it."""
    key = engine.key("a")
    for n in range(1, 31):
        engine.number(key, n=n, everywhere="counts" if n % 3 else None)
    everywhere, with_the_key = sum(n for n in range(1, 31) if n % 3), sum(range(3, 31, 3))
    expected = sorted([everywhere] * (engine.partitions - 1) + [everywhere + with_the_key])
    engine.until(lambda: sorted(engine.counted_in_each(key, "counter")) == expected)


def test_now_is_the_append_time_of_the_record_and_does_not_run_backwards(engine: Contract) -> None:
    """Not the worker's clock: the broker's."""
    keys = [engine.key(f"k{n}") for n in range(5)]
    for key in keys:
        engine.add(key, say=True)
    engine.until(lambda: len(engine.said("counted", *keys)) == 5)
    appended = {record.key: record.timestamp for record in engine.log(COUNTS)}
    said = engine.said("counted", *keys)
    assert [each["counted"] for each in said] == keys
    assert [round(each["now"] * 1000) for each in said] == [appended[key.encode()] for key in keys]
    assert [each["now"] for each in said] == sorted(each["now"] for each in said)


def test_wakes_come_once_in_the_order_they_are_due_and_not_early(engine: Contract) -> None:
    """Whatever the order in which they were set."""
    keys = {engine.key(f"k{n}"): n for n in (3, 1, 2)}
    for key, n in keys.items():
        engine.add(key, wake_in=n / 2)
    engine.until(lambda: len(engine.said("woke", *keys)) == 3)
    engine.pass_seconds(1)
    said = engine.said("woke", *keys)
    assert [keys[each["woke"]] for each in said] == [1, 2, 3]
    appended = {record.key: record.timestamp / 1000 for record in engine.log(COUNTS)}
    for each in said:
        assert each["at"] == pytest.approx(appended[each["woke"].encode()] + keys[each["woke"]] / 2, abs=0.0011)
        assert each["now"] >= each["at"]


def test_a_wake_that_was_moved_comes_at_its_new_time_only(engine: Contract) -> None:
    """Later or earlier."""
    later, earlier, marker = engine.key("later"), engine.key("earlier"), engine.key("marker")
    for key, first, then in ((later, 0.1, 2.5), (earlier, 600, 0.5)):
        engine.add(key, wake_in=first)
        engine.add(key, wake_in=then)
    engine.add(marker, wake_in=1.5)
    engine.until(lambda: len(engine.said("woke", later, earlier, marker)) == 3)
    assert [each["woke"] for each in engine.said("woke", later, earlier, marker)] == [earlier, marker, later]


def test_a_wake_that_was_cancelled_or_whose_row_is_gone_is_nothing(engine: Contract) -> None:
    """No Due is handled, and nothing fails."""
    cancelled, forgotten = engine.key("cancelled"), engine.key("forgotten")
    engine.add(cancelled, wake_in=0.5)
    engine.add(forgotten, wake_in=0.5)
    engine.add(cancelled, cancel=True)
    engine.add(forgotten, forget=True)
    engine.pass_seconds(2)
    assert engine.said("woke", cancelled, forgotten) == []
    assert engine.dead_letters(forgotten) == []


def test_a_wake_set_for_the_past_comes_with_the_next_tick(engine: Contract) -> None:
    """Also behind wakes that have come already: it is clamped to after them."""
    early, late = engine.key("early"), engine.key("late")
    engine.add(early, wake_in=0.1)
    engine.until(lambda: len(engine.said("woke", early)) == 1)
    engine.add(late, wake_in=-3600)
    engine.until(lambda: len(engine.said("woke", late)) == 1)
    engine.pass_seconds(1)
    assert len(engine.said("woke", early, late)) == 2


def test_a_wake_that_fails_is_dead_lettered_and_the_others_come(engine: Contract) -> None:
    """In the same tick; and the one that failed does not come again."""
    bad, good = engine.key("sleepless"), engine.key("good")
    engine.add(bad, wake_in=0.3)
    engine.add(good, wake_in=0.4)
    engine.until(lambda: len(engine.said("woke", good)) == 1)
    engine.pass_seconds(1.5)
    [letter] = engine.dead_letters(bad)
    assert letter.headers["sn-reason"].decode() == f"{bad} will not wake up"
    assert bad in engine.rows("counter", SLEEP)


def test_a_wake_that_waits_for_the_frontier_is_told_how_far_that_has_come(engine: Contract) -> None:
    """``Due.reached``: at its time or after it, and not after the time of the tick (DESIGN section 6)."""
    key = engine.key("a")
    engine.number(key, check_in=0.5)
    engine.until(lambda: engine.said("checked", key) != [])
    [said] = engine.said("checked", key)
    assert said["at"] <= said["reached"] <= said["now"]
    assert said["count"] == 1
    engine.pass_seconds(1.5)
    assert len(engine.said("checked", key)) == 1


def test_a_wake_that_waits_for_the_broker_is_told_its_time(engine: Contract) -> None:
    """``Due.reached`` is ``ctx.now`` then."""
    key = engine.key("a")
    engine.add(key, wake_in=0.2)
    engine.until(lambda: engine.said("woke", key) != [])
    [said] = engine.said("woke", key)
    assert said["reached"] == said["now"] >= said["at"]


def test_rows_are_scanned_from_the_last_to_the_first_and_each_record_sees_what_came_before(engine: Contract) -> None:
    """``Context.scan``: what is persisted, what the same chunk has put and deleted, and what this record has put."""
    key, other = engine.key("a"), engine.key("b")
    for n in (3, 1, 9, 5):
        engine.add(key, remember=n)
    engine.add(other, remember=4)
    engine.settled(key, other)
    for n in (4, 2, 7):
        engine.add(key, remember=n)
    engine.add(key, forgotten=3)
    engine.add(key, forgotten=7)
    engine.add(key, remember=6, recall=(2, 9))
    engine.add(key, recall=(0, 2))
    engine.until(lambda: len(engine.said("recalled", key)) == 2)
    found = [each["found"] for each in engine.said("recalled", key)]
    assert found == [[[f"{key}/{n:04}", n] for n in (6, 5, 4, 2)], [[f"{key}/0001", 1]]]


def test_an_attempt_is_performed_and_its_result_handled_once(engine: Contract) -> None:
    """The result comes back as a record on the station's own topic."""
    key, marker = engine.key("a"), engine.key("marker")
    engine.add(key, attempt=True)
    engine.until(lambda: engine.said("performed", key) != [])
    [result] = [record for record in engine.log(COUNTS) if record.key == key.encode() and RESULT in record.headers]
    assert result.headers[RESULT] == b"1"
    engine.put(COUNTS, result.value, key=key, headers=[(RESULT, b"1")])  # once more
    engine.add(marker)
    engine.settled(marker)
    assert engine.rows("counter", PERFORMED)[key] == 1


def test_the_result_of_an_attempt_that_is_not_open_is_ignored(engine: Contract) -> None:
    """Nobody started it, or its number is not the open one's."""
    key, marker = engine.key("a"), engine.key("marker")
    engine.put(COUNTS, Performed(key, 7), key=key, headers=[(RESULT, b"7")])
    engine.add(marker)
    engine.settled(marker)
    assert key not in engine.rows("counter", PERFORMED)
    assert engine.dead_letters(key) == []


def test_a_bad_record_is_dead_lettered_untouched_with_the_headers_of_the_spec(engine: Contract) -> None:
    """SPEC 2.4: the six names of Kafka Streams and our own; the reason names the field."""
    value, key = b'{"n": 1}', engine.key("k")
    engine.put(NUMBERS, value, key=key, headers=[("own", b"\xff\x00")])
    engine.until(lambda: engine.dead_letters(key) != [])
    [letter] = engine.dead_letters(key)
    assert (letter.key, letter.value, letter.headers["own"]) == (key.encode(), value, b"\xff\x00")
    [source] = [record for record in engine.log(NUMBERS) if record.key == key.encode()]
    text = {name: value.decode() for name, value in letter.headers.items() if name != "own"}
    assert text.pop("__streams.errors.topic").endswith("numbers")
    assert "BadRecord" in text.pop("__streams.errors.stacktrace")
    assert text.pop("sn-failed-at").endswith("+00:00")
    assert text.pop("sn-id")
    assert text == {
        "__streams.errors.partition": str(source.partition),
        "__streams.errors.offset": str(source.offset),
        "__streams.errors.exception": "streamnotify.errors.BadRecord",
        "__streams.errors.message": "key: is missing",
        "sn-stage": "splitter",
        "sn-error-class": "poison",
        "sn-reason": "is missing",
        "sn-field": "key",
        "sn-attempts": "1",
        "sn-replay-count": "0",
    }


GARBAGE = {
    "null": None,
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "cut off": b"{",
    "nested": b"[" * 10_000,
    "2 MB": b"x" * 2_000_000,
}


def test_garbage_on_a_public_topic_is_dead_lettered_and_the_rest_goes_on(engine: Contract) -> None:
    """Whatever it is, its bytes are kept."""
    good = engine.key("good")
    for name, value in GARBAGE.items():
        engine.put(NUMBERS, value, key=engine.key(name))
        engine.number(good)
    engine.settled(good, n=len(GARBAGE))
    expected = {engine.key(name).encode(): value for name, value in GARBAGE.items()}
    engine.until(lambda: expected.items() <= {letter.key: letter.value for letter in engine.log(DEAD_LETTERS)}.items())


def test_a_handler_that_fails_unexpectedly_is_tried_three_times(engine: Contract) -> None:
    """Then the record is dead-lettered, nothing of it has happened, and the rest goes on."""
    bug, good = engine.key("bug"), engine.key("good")
    engine.add(bug, poison="bug", say=True)
    engine.add(good)
    engine.settled(good)
    [letter] = engine.dead_letters(bug)
    assert (letter.headers["sn-attempts"], letter.headers["sn-error-class"]) == (b"3", b"exhausted")
    assert letter.headers["sn-reason"] == b"this record always fails"
    assert bug not in engine.rows("counter", COUNT)
    assert engine.said("counted", bug) == []


def test_a_record_whose_changes_do_not_fit_into_a_chunk_is_dead_lettered_and_the_rest_goes_on(
    engine: Contract,
) -> None:
    """One record stops nothing, and nothing of it has happened."""
    huge, good = engine.key("huge"), engine.key("good")
    engine.add(huge, size=900_000)
    engine.add(good)
    engine.settled(good)
    [letter] = engine.dead_letters(huge)
    assert (letter.headers["sn-attempts"], letter.headers["sn-error-class"]) == (b"1", b"poison")
    assert huge not in engine.rows("counter", COUNT)


def test_records_that_do_not_fit_into_one_chunk_together_are_all_applied(engine: Contract) -> None:
    """Each in one chunk, whole."""
    keys = [engine.key(f"k{n}") for n in range(4)]
    for key in keys:
        engine.add(key, size=500_000)
    engine.settled(*keys)
    big = engine.rows("counter", BIG)
    assert [len(big[key]) for key in keys] == [500_000] * 4
