"""CloudEvents: structured with and without header, and binary (SPEC section 2)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from streamnotify.errors import BadRecord
from streamnotify.wire.cloudevents import Headers, Opened, open_cloudevent, open_unmarked

DATA = {"task_name": "nightly-report", "status": "Completed"}
STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
BINARY: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e-1"),
    ("ce_time", b"2024-01-15T14:30:25Z"),
    ("content-type", b"application/json"),
]


def enveloped(**fields: Any) -> bytes:
    attributes = {"specversion": "1.0", "id": "e-1", "time": "2024-01-15T14:30:25Z", "type": "t", "source": "s"}
    return json.dumps(attributes | {"data": DATA} | fields).encode()


def opened(value: bytes | None, headers: Headers) -> Opened:
    found = open_cloudevent(value, headers) if headers else open_unmarked(value)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "headers"),
    [(enveloped(), STRUCTURED), (enveloped(), ()), (json.dumps(DATA).encode(), BINARY)],
    ids=["structured", "structured without header", "binary"],
)
def test_each_form_gives_data_id_and_time(value: bytes, headers: Headers) -> None:
    found = opened(value, headers)
    assert found.data is not None
    assert json.loads(found.data) == DATA
    assert found.attributes.id == "e-1"
    assert found.attributes.time is not None
    assert found.attributes.time.isoformat() == "2024-01-15T14:30:25+00:00"


def test_data_may_be_base64() -> None:
    encoded = base64.b64encode(json.dumps(DATA).encode()).decode()
    found = opened(enveloped(data=None, data_base64=encoded), STRUCTURED)
    assert json.loads(found.data or b"") == DATA


@pytest.mark.parametrize("headers", [[("content-type", b"application/json")], [("x", b"y")], []])
def test_headers_that_do_not_say_so_make_no_cloudevent(headers: Headers) -> None:
    assert open_cloudevent(enveloped(), headers) is None


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", json.dumps(DATA).encode(), enveloped(data=None), b'{"data": {}}', b'{"x": {"specversion": 1}}'],
)
def test_without_specversion_and_data_an_unmarked_value_is_no_cloudevent(value: bytes | None) -> None:
    assert open_unmarked(value) is None


@pytest.mark.parametrize(
    ("value", "headers", "field", "reason"),
    [
        (enveloped(specversion="2.0"), STRUCTURED, "specversion", "pattern"),
        (enveloped(specversion="2.0"), (), "specversion", "pattern"),
        (enveloped(time="noon"), STRUCTURED, "time", "datetime"),
        (enveloped(data=None), STRUCTURED, "data", "required field missing"),
        (enveloped(data=None, data_base64="%"), STRUCTURED, "data_base64", "base64"),
        (b"{}", [("ce_specversion", b"0.3")], "specversion", "pattern"),
        (b"{}", [("ce_specversion", b"1.0"), ("ce_time", b"\xff")], "time", "datetime"),
        (b"[]", [("Content-Type", b"application/cloudevents-batch+json")], None, "one event per record"),
        (None, STRUCTURED, None, "the record is empty"),
    ],
)
def test_a_broken_cloudevent_is_refused_naming_the_attribute(
    value: bytes | None, headers: Headers, field: str | None, reason: str
) -> None:
    with pytest.raises(BadRecord) as caught:
        opened(value, headers)
    assert caught.value.field == field
    assert reason in caught.value.reason
