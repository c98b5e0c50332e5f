"""Whatever an event holds, it becomes bytes that ingest takes, of bounded size (celery-sdk section 7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.status import Status
from streamnotify.sdk import Context, ErrorInfo, Notify, Progress, TaskEvent
from streamnotify.sdk.encoding import encode, variables_of
from streamnotify.sdk.event import Producer
from streamnotify.wire import fields
from streamnotify.wire import task_event as wire
from streamnotify.wire.task_event_fast import parse_fast
from tests.sdk.hard_values import ANYTHING, Mute, completed, sent

REQUIRED = {"task_name", "status", "notify"}  # without the last, as ingest refuses outcomes and addresses that are none


@given(st.sampled_from([name for name in TaskEvent.__struct_fields__ if name not in REQUIRED]), ANYTHING)
def test_anything_in_any_field_leaves_an_event_that_ingest_takes(name: str, value: Any) -> None:
    event = wire.parse(encode(msgspec.structs.replace(completed(), **{name: value})))
    assert (event.task_name, event.status) == ("report", Status.COMPLETED)


def test_the_bounds_are_those_of_ingest() -> None:
    whole = completed(
        event_id="e" * fields.NAME_LENGTH,
        attempt=2**31 - 1,
        notify=Notify(subject_template="s" * fields.TEXT_LENGTH, on=("success",) * wire.MOST_OUTCOMES, urgent=True),
        context=Context(model="m" * 255, type="t" * 255, id="i" * 255),
        error=ErrorInfo(type="E" * 255, message="m" * 4096, traceback="t" * 16 * 1024, cause="exception"),
        progress=Progress(percent=100, text="p" * fields.TEXT_LENGTH),
        producer=Producer(sdk="s", version="1", host="h" * 255, pid=1, seq=1),
        output_tail="o" * wire.OUTPUT_LENGTH,
        exit_code=-9,
        redelivery_s=0.0,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    assert encode(whole) == msgspec.json.encode(whole)
    assert parse_fast(encode(whole)) is not None


@pytest.mark.parametrize("name", ["task_id", "event_id", "display_name", "organization_id", "user_id", "source"])
def test_ids_and_names_are_cut_to_255_characters(name: str) -> None:
    cut = json.loads(encode(msgspec.structs.replace(completed(), **{name: "ä" * 300})))
    assert cut[name] == "ä" * 255


def test_of_an_error_the_message_and_the_end_of_its_traceback_are_kept() -> None:
    error = sent(error=ErrorInfo(message="m" * 5000, traceback="File x\n" * 5000 + "ValueError: no"))["error"]
    assert error["message"] == "m" * 4096
    assert len(error["traceback"]) == 16 * 1024
    assert error["traceback"].endswith("ValueError: no")


def test_the_end_of_a_commands_output_is_kept() -> None:
    assert sent(output_tail="a" * 10 + "b" * 10_000)["output_tail"] == "b" * 10_000


def test_an_event_over_256_kib_loses_its_traceback_then_its_result_then_its_output() -> None:
    text = "\x01" * 20_000  # six bytes each
    found = sent(
        error=ErrorInfo(message=text, traceback=text),
        result={"log": "r" * 60_000},
        output_tail=text,
        notify=Notify(subject_template=text),
    )
    assert "traceback" not in found["error"]
    assert found["error"]["message"] == "\x01" * 4096
    assert "output_tail" in found


@pytest.mark.parametrize(
    ("said", "fitted"),
    [
        ({"attempt": 0}, {"attempt": 1}),
        ({"attempt": "2"}, {"attempt": 2}),
        ({"user_id": 42}, {"user_id": "42"}),
        ({"user_id": b"42"}, {"user_id": "42"}),
        ({"progress": Progress(percent=140.0)}, {"progress": {"percent": 100}}),
        ({"duration_s": float("inf")}, {}),
        ({"duration_s": Decimal("1.5")}, {"duration_s": 1.5}),
        ({"final": 1}, {"final": True}),
        ({"started_at": "2024-01-15 14:30"}, {"started_at": "2024-01-15T14:30:00"}),
        (
            {"started_at": datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=1)))},
            {"started_at": "2023-12-31T22:59:59+00:00"},
        ),
        ({"started_at": "yesterday"}, {}),
        ({"notify": True}, {"notify": {}}),
        ({"notify": {"template": "mine", "urgent": True}}, {"notify": {"template": "mine", "urgent": True}}),
        ({"error": "no disk"}, {"error": "no disk"}),
        ({"error": True}, {}),
        ({"context": "Hourly sync"}, {}),
        ({"progress": "half"}, {}),
        ({"notify": "ann@example.com"}, {}),
        ({"notify": Notify(on="failure")}, {"notify": {"on": ["failure"]}}),  # type: ignore[arg-type]
        ({"notify": Notify(on={"failure"}, name="x" * 300)}, {"notify": {"on": ["failure"], "name": "x" * 255}}),  # type: ignore[arg-type]
        ({"display_name": Mute()}, {}),
    ],
)
def test_a_value_of_the_wrong_kind_is_made_to_fit_or_left_out(said: dict[str, Any], fitted: dict[str, Any]) -> None:
    found = sent(**said, organization_id="x" * 300)  # that one needs the slow path
    assert {name: value for name, value in found.items() if name in said} == fitted


def test_a_status_may_be_said_in_celerys_words() -> None:
    said: Any = "FAILURE"
    event = TaskEvent(task_name="report", status=said, organization_id="x" * 300)
    assert wire.parse(encode(event)).status is Status.STOPPED


def test_variables_are_what_a_dict_says_that_is_not_ours_to_say() -> None:
    returned = {
        "status": "x",
        "error_message": "y",
        "total_tests": 10,
        "n": None,
        "frontend_url": "https://evil.example",
    }
    assert variables_of(returned) == {"total_tests": 10}  # contract test 3 of celery-sdk section 7
    for nothing in (None, "done", [1], 3, {"status": "x"}, {}):
        assert variables_of(nothing) is None
