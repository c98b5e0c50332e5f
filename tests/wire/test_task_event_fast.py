"""The fast way and the model accept the same, with the same values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import RunUpdate
from streamnotify.errors import BadRecord
from streamnotify.stations.ingest import Oddities, read_update
from streamnotify.wire.task_event import TaskEvent
from streamnotify.wire.task_event_fast import FastTaskEvent, parse_fast
from tests.stations.fake_context import FakeRecord, a_record

POLICY = IngestPolicy()
# A field the fast way does not know sends an event to the model, and changes nothing else.
DETOUR = {"a field nobody knows": None}

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 2**63, 10**260, 1e300, "", "x", "x" * 256, "x" * 5000, [], {}]
)
TEXTS = st.sampled_from(["u1", "Nightly", "é" * 255, "x" * 256, "a\x00b", "\u2028", "😀"])
IDS = st.one_of(TEXTS, st.integers(-5, 5), st.integers(2**62, 2**70))
INSTANTS = st.one_of(
    st.datetimes().map(lambda at: at.isoformat()),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.sampled_from(
        [
            "2024-01-15T14:30:25Z",
            "2024-01-15 14:30:25z",
            "2024-01-15",
            "2024-01-15T14:30Z",
            "2024-01-15T24:00:00Z",
            "2024-01-15T14:30:60Z",
            "0001-01-01T00:00:00+10:00",
            "9999-12-31T23:59:59-10:00",
            "2024-02-30T00:00:00Z",
        ]
    ),
)
STATUSES = st.sampled_from(["Pending", "RUNNING", "success", "Completed", "RETRY", "Invalidated", "Done", "STOPPED"])
NOTIFY = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["ann@example.com", "Ann@Bücher.example", "nobody", "a@b@c", "x" * 400]) | ODD,
        "on": st.lists(st.sampled_from(["success", "FAILURE", "Cancelled", "never"]), max_size=3) | ODD,
        "template": TEXTS | ODD,
        "subject_template": TEXTS | ODD,
        "name": TEXTS | ODD,
        "urgent": st.booleans() | ODD,
    },
)
OBJECTS = {
    "context": st.fixed_dictionaries(
        {}, optional={"model": TEXTS | ODD, "type": TEXTS, "ingestor_type": TEXTS, "id": IDS | ODD}
    ),
    "error": TEXTS | st.fixed_dictionaries({}, optional={"message": TEXTS | ODD, "type": TEXTS, "cause": TEXTS | ODD}),
    "notify": st.booleans() | NOTIFY,
    "producer": st.fixed_dictionaries({}, optional={"sdk": TEXTS, "version": IDS | ODD, "pid": st.integers() | ODD}),
    "progress": st.fixed_dictionaries({}, optional={"percent": st.integers(-1, 101) | ODD, "text": TEXTS | ODD}),
    "result": st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
}
INSTANT_FIELDS = ("occurred_at", "submitted_at", "queued_at", "started_at", "finished_at")
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("task_id", "event_id", "organization_id", "user_id"), IDS),
    **dict.fromkeys(INSTANT_FIELDS, INSTANTS),
    **dict.fromkeys(("attempt", "max_attempts"), st.sampled_from([1, 2, 2**31 - 1, 2**31])),
    **dict.fromkeys(("final", "interrupted", "redelivered", "expected"), st.booleans()),
    **dict.fromkeys(("duration_s", "redelivery_s"), st.floats() | st.integers(-1, 100)),
    **dict.fromkeys(("display_name", "source", "schedule"), TEXTS),
    "exit_code": st.integers(),
    "output_tail": TEXTS | st.sampled_from(["x" * 10_000, "é" * 10_001]),
}
FIELDS = st.fixed_dictionaries(
    {"task_name": IDS | ODD, "status": STATUSES | ODD},
    optional={name: strategy | ODD for name, strategy in (SCALARS | OBJECTS).items()},
)
SOUND_FIELDS = st.fixed_dictionaries(
    {"task_name": st.sampled_from(["nightly-report", 42]), "status": STATUSES.filter(lambda status: status != "Done")},
    optional={
        **dict.fromkeys(("task_id", "event_id", "organization_id", "user_id"), st.sampled_from(["a", "", 7, None])),
        **dict.fromkeys(INSTANT_FIELDS, st.datetimes().map(lambda at: at.isoformat() + "Z") | st.none()),
        "final": st.booleans(),
        "notify": st.sampled_from(
            [True, False, {}, {"email": "Ann@Bücher.example", "on": ["FAILURE"], "urgent": True}]
        ),
        "context": st.sampled_from([{}, {"ingestor_type": "Hourly", "id": 5}, {"model": "m", "type": "t"}]),
        "error": st.sampled_from(["boom", "", {}, {"message": "boom", "traceback": "t"}]),
        "result": OBJECTS["result"],
    },
)


def outcome(record: FakeRecord) -> RunUpdate | BadRecord:
    try:
        return read_update(record, POLICY, Oddities())
    except BadRecord as bad:
        return bad


@given(FIELDS | SOUND_FIELDS)
@settings(max_examples=400, deadline=None)
def test_both_ways_read_the_same(fields: dict[str, Any]) -> None:
    record = a_record(fields)
    update, detour = outcome(record), outcome(a_record(fields | DETOUR))
    assert parse_fast(a_record(fields | DETOUR).value) is None
    if isinstance(update, BadRecord):
        assert isinstance(detour, BadRecord)
        assert (update.reason, update.field) == (detour.reason, detour.field)
    else:
        assert update == detour


@given(SOUND_FIELDS)
@settings(max_examples=300, deadline=None)
def test_an_ordinary_event_goes_the_fast_way(fields: dict[str, Any]) -> None:
    value = a_record(fields).value
    assert value is not None
    if b"NaN" not in value and b"Infinity" not in value:  # no JSON, but Python writes it
        assert parse_fast(value) is not None


def test_the_fast_way_knows_every_field_of_the_model() -> None:
    assert set(FastTaskEvent.__struct_encode_fields__) == set(TaskEvent.model_fields)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"\xff",
        b"[1]",
        b'{"task_name": "a"}',
        b'{"x": ' + b"[" * 10_000,
        b" " * 2_097_153,
        b'{"task_name": "a", "status": "Running", "result": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
def test_what_is_in_doubt_is_left_to_the_model(value: bytes | None) -> None:
    assert parse_fast(value) is None


@pytest.mark.parametrize("result", [b'"\\ud800"', b'{"a": "\xff"}', b"01", b"[" * 150 + b"]" * 150])
def test_a_result_is_checked_as_the_model_checks_it(result: bytes) -> None:
    start = b'{"task_name": "a", "status": "Running", "result": ' + result
    update, detour = outcome(FakeRecord(start + b"}")), outcome(FakeRecord(start + b', "a field nobody knows": 1}'))
    assert isinstance(update, BadRecord) == isinstance(detour, BadRecord)
    assert isinstance(update, BadRecord) or update == detour


def test_the_measured_event_of_the_benchmarks_goes_the_fast_way() -> None:
    event = {
        "task_name": "hourly_data_sync",
        "task_id": "0b6b8c4e",
        "status": "Running",
        "occurred_at": "2024-01-15T14:30:25.123Z",
        "attempt": 1,
        "max_attempts": 4,
        "context": {"model": "gap.models.IngestorSession", "type": "Hourly Tomorrow.io", "id": "42"},
        "producer": {
            "sdk": "streamnotify",
            "version": "1.0",
            "host": "worker-1",
            "pid": 1234,
            "role": "child",
            "seq": 1,
        },
    }
    assert parse_fast(json.dumps(event).encode()) is not None
