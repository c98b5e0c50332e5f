"""monitors: from a monitor's record to its definition, or to why there is none."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.monitors import Monitor, TaskCheck
from streamnotify.domain.run_steps import TasksPolicy
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.status import Status
from streamnotify.errors import BadRecord
from streamnotify.stations import monitors, tasks
from streamnotify.stations.context import Record
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire import dead_letter
from streamnotify.wire.commands import DefineMonitor
from streamnotify.wire.monitor_tasks import MOST_TASKS
from streamnotify.wire.topics import DEAD_LETTERS, MONITOR_CONFIGS, MONITOR_RESULTS, TASKS
from tests.stations.fake_context import FakeContext, FakeRecord, a_record

RECORD = {"crontab": "5 * * * *", "args": [{"nightly": {"expected_statuses": ["Completed"]}}]}
MONITOR = Monitor("A", Schedule("5 * * * *"), True, {"nightly": TaskCheck((Status.COMPLETED,))})
WRONG = {"crontab": "5 * * * *", "args": [{"nightly": {"expected_statuses": ["Done"]}}]}
PUBLISHED = "2024-01-15T14:30:30Z"


def handled(record: Record) -> FakeContext:
    ctx = FakeContext()
    monitors.station().handle(record, ctx)
    return ctx


def refused(record: Record) -> BadRecord:
    """The refusal of a record that changes nothing."""
    ctx = FakeContext()
    with pytest.raises(BadRecord) as refusal:
        monitors.station().handle(record, ctx)
    assert ctx.emitted == []
    return refusal.value


def told(refusal: BadRecord) -> list[tuple[str | None, Any]]:
    """What is said of it on monitor-results."""
    assert all(topic is MONITOR_RESULTS for topic, _, _ in refusal.told)
    return [(key, json.loads(topic.encode(record))) for topic, key, record in refusal.told]


@pytest.mark.parametrize(
    ("value", "key"), [(RECORD, b"A"), ({**RECORD, "name": "A"}, b"A"), ({**RECORD, "name": "A"}, None)]
)
def test_a_definition_goes_to_its_name(value: dict[str, Any], key: bytes | None) -> None:
    ctx = handled(a_record(value, key=key))
    assert ctx.emitted == [(TASKS, "A", DefineMonitor("A", MONITOR))]


def test_a_record_without_value_deletes_the_monitor_its_key_names() -> None:
    assert handled(FakeRecord(None, key=b"A")).emitted == [(TASKS, "A", DefineMonitor("A", None))]


@pytest.mark.parametrize("key", [None, b""])
def test_a_record_without_value_and_key_deletes_nothing(key: bytes | None) -> None:
    refusal = refused(FakeRecord(None, key=key))
    assert (refusal.field, list(refusal.told)) == (None, [])


def test_a_cloudevent_is_opened() -> None:
    structured = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": RECORD}
    binary = [("ce_specversion", b"1.0"), ("ce_id", b"1")]
    for record in (a_record(structured, key=b"A"), a_record(RECORD, key=b"A", headers=binary)):
        assert handled(record).emitted == [(TASKS, "A", DefineMonitor("A", MONITOR))]


def test_a_refused_record_says_why_and_where_on_monitor_results() -> None:
    refusal = refused(a_record(WRONG, key=b"A"))
    assert refusal.field == "args[0].nightly.expected_statuses[0]"
    assert told(refusal) == [
        (
            "A",
            {
                "monitor": "A",
                "verdict": "refused",
                "reason": f"args[0].nightly.expected_statuses[0]: {refusal.reason}",
                "check_time": PUBLISHED,
                "evaluated_at": PUBLISHED,
            },
        )
    ]


@pytest.mark.parametrize(
    ("value", "key", "name"),
    [
        (b"{", b"A", "A"),
        (b"", b"A", "A"),
        (b'{"name": "B"}', b"A", "A"),
        (b'{"name": "A", "crontab": 3}', None, "A"),
        (b'{"name": "A"}', b"x" * 300, "x" * 255),
        (b'{"specversion": "1.0", "data": 3}', b"A", "A"),
    ],
)
def test_a_refusal_is_told_of_the_monitor_that_was_meant(value: bytes, key: bytes | None, name: str) -> None:
    [(told_to, said)] = told(refused(FakeRecord(value, key=key)))
    assert (told_to, said["monitor"], said["verdict"]) == (name, name, "refused")


@pytest.mark.parametrize(
    ("value", "key"), [(b"{", None), (b'{"crontab": "5 * * * *"}', b""), (b'{"name": 3}', None), (b"{}", b"\xff")]
)
def test_a_record_that_names_no_monitor_is_a_dead_letter_only(value: bytes, key: bytes | None) -> None:
    assert list(refused(FakeRecord(value, key=key)).told) == []


def test_what_is_ignored_is_said_beside_the_definition(caplog: pytest.LogCaptureFixture) -> None:
    value = {
        "crontab": "5 * * * *",
        "args": [{"nightly": {"expected_statuses": ["Completed"], "lookback_hour": 5}}],
    }
    with caplog.at_level(logging.WARNING):
        ctx = handled(a_record(value, key=b"A"))
    assert ctx.to(TASKS) == [("A", DefineMonitor("A", MONITOR))]
    reason = "args[0].nightly.lookback_hour: unknown, ignored: did you mean lookback_hours?"
    assert ctx.to(MONITOR_RESULTS) == [
        (
            "A",
            {
                "monitor": "A",
                "verdict": "warning",
                "reason": reason,
                "check_time": PUBLISHED,
                "evaluated_at": PUBLISHED,
            },
        )
    ]
    assert caplog.messages == [f"monitor A: {reason}"]


def test_in_the_engine_a_bad_record_stops_nothing_and_leaves_both_traces() -> None:
    engine = MemoryEngine([monitors.station()])
    engine.put(MONITOR_CONFIGS, RECORD, key=b"A", settle=False)
    engine.put(MONITOR_CONFIGS, WRONG, key=b"A", settle=False)
    engine.put(MONITOR_CONFIGS, None, key=b"B")
    [letter] = engine.records(DEAD_LETTERS)
    headers = dict(letter.headers)
    assert (letter.key, json.loads(letter.value or b"")) == (b"A", WRONG)
    assert headers[dead_letter.STAGE] == b"monitors"
    assert headers[dead_letter.FIELD] == b"args[0].nightly.expected_statuses[0]"
    [said] = engine.records(MONITOR_RESULTS)
    assert (said.key, said.json()["verdict"]) == (b"A", "refused")
    assert TASKS.decode is not None
    commands = [TASKS.decode(record.value or b"") for record in engine.records(TASKS)]
    assert commands == [DefineMonitor("A", MONITOR), DefineMonitor("B", None)]


@pytest.mark.parametrize(
    ("name_length", "dependents"), [(4, 0), (255, 0), (255, 3), (200, 100)], ids=["many", "long", "longer", "longest"]
)
def test_the_largest_monitor_that_is_taken_can_be_defined_changed_and_deleted(
    name_length: int, dependents: int
) -> None:
    """All its tasks at once are others, and so is its schedule; each step fits into one chunk."""
    check = {"expected_statuses": ["Completed"], "dependent_tasks": [f"ü{n}" * 50 for n in range(dependents)]}
    key = ("M" * name_length).encode()

    def put(number: int, letter: str, crontab: str) -> bool:
        names = [f"{n:03d}" + letter * (name_length - 3) for n in range(number)]
        engine.put(MONITOR_CONFIGS, {"crontab": crontab, "args": [dict.fromkeys(names, check)]}, key=key)
        return not engine.records(MONITOR_RESULTS)

    number = MOST_TASKS
    engine = MemoryEngine([monitors.station(), tasks.station(TasksPolicy())])
    while not put(number, "ä", "5 * * * *"):
        engine = MemoryEngine([monitors.station(), tasks.station(TasksPolicy())])
        number -= max(1, number // 50)
    put(number, "ö", "7 * * * *")
    engine.put(MONITOR_CONFIGS, None, key=key)
    assert engine.records(DEAD_LETTERS) == []
    assert len(engine.records(TASKS)) == 3 + 4 * number


def test_the_same_records_make_the_same_bytes() -> None:
    engines = [MemoryEngine([monitors.station()]) for _ in range(2)]
    for engine in engines:
        engine.put(MONITOR_CONFIGS, {**RECORD, "enable": True}, key=b"A", settle=False)
        engine.put(MONITOR_CONFIGS, WRONG, key=b"A")
    for topic in (TASKS, MONITOR_RESULTS, DEAD_LETTERS):
        assert engines[0].records(topic) == engines[1].records(topic)


@given(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=10))
def test_whatever_bytes_come_nothing_but_a_refusal_escapes(value: bytes | None, key: bytes | None) -> None:
    try:
        monitors.station().handle(FakeRecord(value, key=key), FakeContext())
    except BadRecord as refusal:
        told(refusal)
