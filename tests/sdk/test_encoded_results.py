"""Whatever a task returns, its event leaves with what JSON can say of it, no secrets and not too much."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given

from streamnotify.domain.status import Status
from streamnotify.sdk.encoding import EVENT_BYTES, RESULT_BYTES, encode
from streamnotify.wire import task_event as wire
from tests.sdk.hard_values import ANYTHING, HARD, Mute, circular, completed, nested, sent


def result_of(value: Any) -> Any:
    return sent(result=value).get("result")


@given(ANYTHING)
def test_any_result_at_all_leaves_an_event_that_ingest_takes_and_its_status_alone(result: Any) -> None:
    check_result(result)


@pytest.mark.parametrize("name", HARD)
def test_hard_results_leave_one_too(name: str) -> None:
    check_result(HARD[name]())
    check_result({"inside": HARD[name](), "total_tests": 10})


def check_result(result: Any) -> None:
    encoded = encode(completed(result=result))
    event = wire.parse(encoded)
    assert (event.task_name, event.status, event.task_id) == ("report", Status.COMPLETED, "7")
    assert len(encoded) <= EVENT_BYTES
    assert event.result is None or len(msgspec.json.encode(event.result)) <= RESULT_BYTES


def test_what_is_no_json_becomes_text() -> None:
    some_id = uuid.uuid4()
    assert result_of(
        {
            "at": datetime(2024, 1, 15, 14, 30, tzinfo=UTC),
            "day": date(2024, 1, 15),
            "id": some_id,
            "price": Decimal("1.50"),
            "file": Path("/data/x.csv"),
            "raw": b"ab\xff",
            "half": Fraction(1, 2),
            "took": timedelta(seconds=90),
            "status_was": Status.RUNNING,
            "many": {1},
            "ordered": OrderedDict(a=1),
            "huge": 2**70,
        }
    ) == {
        "at": "2024-01-15T14:30:00+00:00",
        "day": "2024-01-15",
        "id": str(some_id),
        "price": "1.50",
        "file": "/data/x.csv",
        "raw": "ab\N{REPLACEMENT CHARACTER}",
        "half": 0.5,
        "took": "0:01:30",
        "status_was": "Running",
        "many": [1],
        "ordered": {"a": 1},
        "huge": str(2**70),
    }


def test_what_json_cannot_say_is_null_or_left_out_and_the_rest_stays() -> None:
    value = circular() | {"nan": float("nan"), "endless": float("inf"), "mute": Mute(), Mute(): 1, "half": "\ud83d"}
    assert result_of(value) == {
        "total_tests": 10,
        "self": [{"total_tests": 10}],
        "nan": None,
        "endless": None,
        "half": "?",
    }
    assert result_of({"deep": nested(100), "ok": 1})["ok"] == 1


def test_keys_become_text_of_at_most_128_characters() -> None:
    assert result_of({1: "a", (2, 3): "b", None: "c", "k" * 200: "d"}) == {
        "1": "a",
        "(2, 3)": "b",
        "None": "c",
        "k" * 128: "d",
    }


def test_of_a_result_over_64_kib_the_largest_keys_are_dropped_and_named() -> None:
    value = {"total_tests": 10, "log": "x" * 60_000, "rows": ["y" * 1000] * 20, "more": "z" * 1_000_000}
    assert result_of(value) == {"total_tests": 10, "rows": ["y" * 1000] * 20, "_dropped_keys": ["more", "log"]}


def test_a_result_that_is_no_dict_and_over_64_kib_is_dropped() -> None:
    assert result_of("x" * 100_000) is None


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "passwd",
        "token",
        "accessToken",
        "client-secret",
        "API_KEY",
        "x-api-key",
        "apikey",
        "Authorization",
        "Cookie",
        "set-cookie",
    ],
)
def test_secrets_are_redacted_by_their_key_however_deep(key: str) -> None:
    assert result_of({key: "hunter2"}) == {key: "[redacted]"}
    assert result_of({"config": [{key: {"now": "hunter2"}}]}) == {"config": [{key: "[redacted]"}]}


def test_numbers_of_tokens_are_no_secrets() -> None:
    assert result_of({"total_tokens": 512, "tokens": ["hunter2"]}) == {"total_tokens": 512, "tokens": "[redacted]"}
