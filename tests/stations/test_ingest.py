"""ingest: from a record of task-events to what the tasks station is told (SPEC 2, 2.1)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import Notify, RunContext, RunError, RunUpdate
from streamnotify.domain.status import Rank, Status
from streamnotify.errors import BadRecord
from streamnotify.stations import ingest
from streamnotify.stations.ingest import Oddities
from streamnotify.wire.commands import MergeRun
from streamnotify.wire.topics import TASKS
from tests.stations.fake_context import FakeContext, FakeRecord, a_record

SMALLEST = {"task_name": "nightly-report", "status": "Completed"}
PUBLISHED_AT = datetime(2024, 1, 15, 14, 30, 30, tzinfo=UTC)


def handled(record: FakeRecord, oddities: Oddities | None = None, policy: IngestPolicy | None = None) -> RunUpdate:
    """What ingest tells the tasks station about one record."""
    ctx = FakeContext()
    ingest.station(policy or IngestPolicy(), oddities).handle(record, ctx)
    [(key, command)] = ctx.to(TASKS)
    assert isinstance(command, MergeRun)
    assert key == command.update.task_name
    return command.update


def update(**fields: Any) -> RunUpdate:
    return handled(a_record(SMALLEST | fields))


def said(**fields: Any) -> Any:
    """What an event says besides its status."""
    [details] = update(**fields).facts.details
    return details


def test_the_smallest_event_is_a_run_of_its_own_at_its_position_and_time() -> None:
    smallest = update()
    step = smallest.facts.step
    assert (smallest.task_name, smallest.task_id) == ("nightly-report", "3-42-1705329030000")
    assert (step.status, step.attempt, step.rank, step.event_id) == (Status.COMPLETED, 1, Rank.ENDED, "3-42")
    assert (step.occurred_at, step.finished_at) == (PUBLISHED_AT, PUBLISHED_AT)
    assert smallest.end == step
    assert smallest.facts.details == ()


def test_integer_ids_and_names_become_text() -> None:
    numbered = update(task_name=7, task_id=0, event_id=-1, user_id=42)
    assert (numbered.task_name, numbered.task_id, numbered.facts.step.event_id) == ("7", "0", "-1")
    assert numbered.facts.details[0].user_id == "42"


def test_empty_optional_ids_are_as_good_as_absent() -> None:
    assert update(task_id="", event_id="", user_id="", organization_id="", display_name="") == update()


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker's machine keeps New York's time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
def test_instants_become_utc_and_those_without_zone_are_utc() -> None:
    times = update(occurred_at="2024-01-15T14:30:25", started_at="2024-01-15T15:30:20+01:00").facts
    assert times.step.occurred_at == datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC)
    assert times.started_at == datetime(2024, 1, 15, 14, 30, 20, tzinfo=UTC)
    assert times.started_at.utcoffset() == timedelta(0)


def test_an_instant_that_does_not_exist_in_utc_is_refused() -> None:
    with pytest.raises(BadRecord) as caught:
        update(queued_at="0001-01-01T00:00:00+10:00")
    assert caught.value.field == "queued_at"


def test_a_kafka_timestamp_that_is_no_time_is_refused() -> None:
    with pytest.raises(BadRecord, match="Kafka timestamp 9223372036854775807 is no time"):
        handled(a_record(SMALLEST, timestamp=2**63 - 1))


@pytest.mark.parametrize("status", ["Completed", "Stopped", "Cancelled"])
def test_an_end_is_final_unless_it_says_otherwise(status: str) -> None:
    assert update(status=status).end is not None
    open_end = update(status=status, final=False)
    assert (open_end.end, open_end.facts.step.rank) == (None, Rank.ATTEMPT_ENDED)


def test_final_means_nothing_on_other_statuses() -> None:
    assert update(status="RETRY", final=False).facts.step.rank == Rank.QUEUED
    assert update(status="Invalidated", final=False).facts.step.rank == Rank.INVALIDATED


def test_a_negative_duration_is_unknown() -> None:
    assert update(duration_s=-1.5).facts.step.duration_s is None
    assert update(duration_s=2).facts.step.duration_s == 2.0


def test_finish_and_duration_belong_to_ends() -> None:
    step = update(status="Running", finished_at="2024-01-15T14:30:25Z", duration_s=2).facts.step
    assert (step.finished_at, step.duration_s) == (None, None)


@pytest.mark.parametrize(
    ("fields", "redelivery_s"),
    [
        ({"status": "Running", "interrupted": True}, 60.0),
        ({"status": "Running", "interrupted": True, "redelivery_s": 3600}, 3600.0),
        ({"status": "Running", "interrupted": False}, None),
        ({"status": "Running", "redelivery_s": 3600}, None),
        ({"status": "Queued", "interrupted": True}, None),
        ({"status": "Stopped", "interrupted": True}, None),
    ],
)
def test_only_a_running_task_can_be_interrupted(fields: dict[str, Any], redelivery_s: float | None) -> None:
    assert update(**fields).facts.step.redelivery_s == redelivery_s


@pytest.mark.parametrize(
    ("notify", "meant"),
    [
        (False, Notify(wanted=False)),
        (True, Notify()),
        ({}, Notify()),
        ({"email": "Ann@Bücher.example", "name": "Ann"}, Notify(email="Ann@xn--bcher-kva.example", name="Ann")),
        ({"on": ["CANCELLED"], "urgent": True}, Notify(on=("cancelled",), urgent=True)),
        ({"on": []}, Notify(on=())),
        ({"template": "", "on": None, "urgent": None}, Notify()),
        (
            {"template": "weekly", "subject_template": "{task_name}"},
            Notify(template="weekly", subject_template="{task_name}"),
        ),
    ],
)
def test_each_form_of_notify_is_understood(notify: Any, meant: Notify) -> None:
    assert said(notify=notify).notify == meant


def test_an_event_whose_notify_is_null_does_not_speak_about_it() -> None:
    assert update(notify=None).facts.details == ()


@pytest.mark.parametrize(
    ("context", "meant"),
    [
        (
            {"model": "gap.models.IngestorSession", "type": "Hourly", "id": 42},
            RunContext("gap.models.IngestorSession", "Hourly", "42"),
        ),
        ({"ingestor_type": "Hourly"}, RunContext(type="Hourly")),
        ({"ingestor_type": "Hourly", "type": "Daily"}, RunContext(type="Daily")),
    ],
)
def test_a_context_is_understood(context: dict[str, Any], meant: RunContext) -> None:
    assert said(context=context).context == meant


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        ("boom", RunError("boom")),
        (
            {"type": "ValueError", "message": "boom", "traceback": "t", "cause": "c"},
            RunError("boom", "ValueError", "t", "c"),
        ),
        ({"message": "boom", "cause": {"type": "KeyError"}}, RunError("boom", cause='{"type":"KeyError"}')),
    ],
)
def test_an_error_may_be_its_message_or_an_object(error: Any, meant: RunError) -> None:
    assert said(error=error).error == meant


def test_an_empty_context_and_an_empty_error_say_nothing() -> None:
    assert update(context={}, error={}).facts.details == ()
    assert update(error="").facts.details == ()


def test_a_result_travels_as_json_text() -> None:
    assert json.loads(said(result={"n": 10**30, "x": None}).result) == {"n": 10**30, "x": None}
    assert json.loads(said(result=[1, 2]).result) == [1, 2]


def test_a_legal_event_of_a_megabyte_and_a_half_is_cut_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    oddities = Oddities()
    event = SMALLEST | {
        "error": {"message": "m" * 400_000, "traceback": "t" * 400_000},
        "result": {"huge": "x" * 700_000, "test_run_id": "t1"},
    }
    [details] = handled(a_record(event), oddities).facts.details
    assert details.error is not None
    assert details.result is not None
    assert len(details.error.message or "") <= 32 * 1024
    assert json.loads(details.result) == {"test_run_id": "t1", "_dropped_keys": ["huge"]}
    assert oddities.results_cut == 1
    assert "over 65536 bytes: dropped 'huge'" in caplog.text


@pytest.mark.parametrize(("seconds", "stale"), [(24 * 3600, False), (24 * 3600 + 1, True), (-3600, False)])
def test_an_event_published_too_long_after_it_happened_is_stale(seconds: int, stale: bool) -> None:
    occurred_at = (PUBLISHED_AT - timedelta(seconds=seconds)).isoformat()
    assert update(occurred_at=occurred_at).facts.step.stale is stale


def test_the_age_that_makes_an_event_stale_is_a_policy() -> None:
    record = a_record(SMALLEST | {"occurred_at": "2024-01-15T14:00:00Z"})
    assert handled(record, policy=IngestPolicy(timedelta(minutes=5))).facts.step.stale


CLOUDEVENT = {"specversion": "1.0", "id": "ce-1", "time": "2024-01-15T14:30:00Z", "type": "t", "source": "s"}
STRUCTURED = [("content-type", b"application/cloudevents+json")]
BINARY = [("ce_specversion", b"1.0"), ("ce_id", b"ce-1"), ("ce_time", b"2024-01-15T14:30:00Z")]


@pytest.mark.parametrize(
    "record",
    [
        a_record(CLOUDEVENT | {"data": SMALLEST}, headers=STRUCTURED),
        a_record(CLOUDEVENT | {"data": SMALLEST}),
        a_record(SMALLEST, headers=BINARY),
    ],
    ids=["structured", "structured without header", "binary"],
)
def test_a_cloudevents_id_and_time_become_the_events(record: FakeRecord) -> None:
    step = handled(record).facts.step
    assert (step.event_id, step.occurred_at) == ("ce-1", datetime(2024, 1, 15, 14, 30, tzinfo=UTC))


def test_fields_in_a_cloudevents_data_win() -> None:
    data = SMALLEST | {"event_id": "e-1", "occurred_at": "2024-01-15T14:29:00Z"}
    for record in (a_record(CLOUDEVENT | {"data": data}), a_record(data, headers=BINARY)):
        step = handled(record).facts.step
        assert (step.event_id, step.occurred_at) == ("e-1", datetime(2024, 1, 15, 14, 29, tzinfo=UTC))


def test_a_cloudevent_without_id_and_time_is_known_by_its_position() -> None:
    step = handled(a_record({"specversion": "1.0", "data": SMALLEST})).facts.step
    assert (step.event_id, step.occurred_at) == ("3-42", PUBLISHED_AT)


def test_headers_of_tracing_do_not_make_a_cloudevent() -> None:
    assert handled(a_record(SMALLEST, headers=[("traceparent", b"00-1")])) == update()


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        (FakeRecord(None), None, "empty"),
        (FakeRecord(b""), None, "empty"),
        (FakeRecord(b"\xff\xfe"), None, "not UTF-8"),
        (FakeRecord(b'{"task_name": "x",'), None, "one event per line"),
        (FakeRecord(b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"), None, "nested too deeply"),
        (FakeRecord(b"x" * 2_100_000), None, "at most 2097152"),
        (a_record([SMALLEST]), None, "one JSON object"),
        (a_record({"status": "Completed"}), "task_name", "required"),
        (a_record(SMALLEST | {"status": "Done"}), "status", "'Completed'"),
        (a_record(SMALLEST | {"task_name": "x" * 256}), "task_name", "255"),
        (a_record(SMALLEST | {"user_id": 10**300}), "user_id", "255"),
        (a_record(SMALLEST | {"notify": {"email": "ann"}}), "notify.email", "no e-mail address"),
        (a_record({"specversion": "1.0", "data": {"status": "Completed"}}), "task_name", "required"),
    ],
    ids=lambda value: None if isinstance(value, FakeRecord) else str(value),
)
def test_what_is_no_task_event_is_refused_with_reason_and_field(
    record: FakeRecord, field: str | None, reason: str
) -> None:
    with pytest.raises(BadRecord) as caught:
        handled(record)
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_a_task_whose_results_are_cut_each_time_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    oddities = Oddities()
    for name in ("a", "b", "a", "a"):
        handled(a_record(SMALLEST | {"task_name": name, "result": "x" * 70_000}), oddities)
    assert oddities.results_cut == 4
    assert [record.getMessage() for record in caplog.records] == [
        f"result of task {name} is over 65536 bytes: dropped it" for name in "ab"
    ]


def test_a_misspelt_field_is_logged_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    oddities = Oddities()
    ctx = FakeContext()
    station = ingest.station(IngestPolicy(), oddities)
    event = SMALLEST | {
        "notfy": True,
        "userId": "u1",
        "colour": "red",
        "notify": {"emial": "x"},
        "context": {"modle": 1},
    }
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            station.handle(a_record(event), ctx)
    assert oddities.misspelt == {"notfy": 3, "userId": 3, "notify.emial": 3, "context.modle": 3}
    assert sum("did you mean notify?" in line for line in caplog.messages) == 1
    assert len(caplog.messages) == 4
    assert "unknown field 'notify.emial' in a task event: did you mean email?" in caplog.messages


@pytest.mark.parametrize("inside", ["notify", "context", "error"])
def test_a_field_that_belongs_one_level_up_is_logged_once(inside: str, caplog: pytest.LogCaptureFixture) -> None:
    handle = ingest.station(IngestPolicy()).handle
    for _ in range(3):
        handle(a_record(SMALLEST | {inside: {"user_id": "u1", "colour": "red"}}), FakeContext())
    assert caplog.messages == [
        f"unknown field '{inside}.user_id' in a task event: did you mean user_id beside {inside}?"
    ]


def test_misspelt_fields_of_an_error_are_logged_and_its_cause_is_free(caplog: pytest.LogCaptureFixture) -> None:
    update(error={"mesage": "boom", "cause": {"mesage": "because", "user_id": "u1"}})
    assert caplog.messages == ["unknown field 'error.mesage' in a task event: did you mean message?"]


def test_the_names_remembered_are_limited() -> None:
    oddities = Oddities()
    for number in range(0, 3000, 100):
        event = SMALLEST | {f"task_nam{n}": 1 for n in range(number, number + 100)}
        handled(a_record(event), oddities)
    assert len(oddities.misspelt) == 1000


def test_updates_of_one_run_are_folded_until_it_ends() -> None:
    folding = ingest.station(IngestPolicy()).folding
    assert folding is not None
    pending, running, ended, late = (
        MergeRun(update(task_id="r1", status=status, event_id=status))
        for status in ("Pending", "Running", "Completed", "Queued")
    )
    assert folding.identity(pending) == folding.identity(late)
    assert folding.identity(pending) != folding.identity(MergeRun(update(task_id="r2")))
    both = folding.combine(pending, running)
    assert both is not None
    all_three = folding.combine(both, ended)
    assert isinstance(all_three, MergeRun)
    assert all_three.update.end == ended.update.end
    assert folding.combine(all_three, late) is None
