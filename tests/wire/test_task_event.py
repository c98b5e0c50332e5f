"""What a task event may look like, and what the reason says if it may not (SPEC 2.1)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from streamnotify.domain.status import Status
from streamnotify.errors import BadRecord
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.task_event import NotifyOptions, TaskEvent, parse

SMALLEST = {"task_name": "nightly-report", "status": "Completed"}


def event(**fields: Any) -> TaskEvent:
    return parse(json.dumps(SMALLEST | fields).encode())


def refused(value: bytes | None) -> BadRecord:
    with pytest.raises(BadRecord) as caught:
        parse(value)
    return caught.value


def test_two_fields_are_enough() -> None:
    assert (event().task_name, event().status, event().notify) == ("nightly-report", Status.COMPLETED, None)


def test_null_is_the_same_as_absent_for_every_optional_field() -> None:
    optional = {name: None for name, field in TaskEvent.model_fields.items() if not field.is_required()}
    assert event(**optional) == event()


@pytest.mark.parametrize("field", ["task_name", "task_id", "event_id", "organization_id", "user_id"])
def test_ids_may_be_integers(field: str) -> None:
    assert getattr(event(**{field: 42}), field) == "42"


@pytest.mark.parametrize("status", ["COMPLETED", "completed", "SUCCESS", "success"])
def test_a_status_is_read_in_any_case_and_under_celerys_name(status: str) -> None:
    assert event(status=status).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-15T14:30:25Z", datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC)),
        ("2024-01-15T14:30:25.123456+02:00", datetime(2024, 1, 15, 12, 30, 25, 123456, tzinfo=UTC)),
        ("2024-01-15 14:30:25", datetime(2024, 1, 15, 14, 30, 25)),  # noqa: DTZ001 - ingest makes it UTC
    ],
)
def test_instants_are_rfc_3339(text: str, instant: datetime) -> None:
    assert event(occurred_at=text).occurred_at == instant


@pytest.mark.parametrize("notify", [None, True, False])
def test_notify_may_be_a_plain_yes_or_no(notify: bool | None) -> None:
    assert event(notify=notify).notify is notify


def test_notify_may_be_an_object() -> None:
    notify = event(notify={"email": "Ann@Bücher.example", "on": ["Failure"], "urgent": True, "name": "Ann"}).notify
    assert isinstance(notify, NotifyOptions)
    assert (notify.email, notify.on, notify.urgent) == ("Ann@xn--bcher-kva.example", ["failure"], True)
    assert event(notify={}).notify == NotifyOptions()


@pytest.mark.parametrize("email", ["ann@example.com", "ann+x@sub.example.org", "root@localhost", "ops@mail.local"])
def test_addresses_one_could_write_to_are_accepted_without_asking_dns(email: str) -> None:
    assert ascii_address(email) == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "a b@example.com",
        "ann@example",
        "a@@b.com",
        "ann@example.com\r\nBcc: x@example.com",
        "Ann <ann@example.com>",
    ],
)
def test_an_invalid_address_is_refused_naming_the_field(email: str) -> None:
    bad = refused(json.dumps(SMALLEST | {"notify": {"email": email}}).encode())
    assert bad.field == "notify.email"
    assert bad.reason.startswith("no e-mail address: ")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"task_name": ""}, "task_name"),
        ({"task_name": None}, "task_name"),
        ({"task_name": True}, "task_name"),
        ({"task_name": 1.5}, "task_name"),
        ({"task_name": "x" * 256}, "task_name"),
        ({"task_id": 10**300}, "task_id"),
        ({"user_id": ["u1"]}, "user_id"),
        ({"status": "Done"}, "status"),
        ({"status": 3}, "status"),
        ({"status": None}, "status"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": 1705329025}, "occurred_at"),
        ({"started_at": "2024-13-01T00:00:00Z"}, "started_at"),
        ({"attempt": 0}, "attempt"),
        ({"attempt": "1"}, "attempt"),
        ({"attempt": 1.0}, "attempt"),
        ({"final": "yes"}, "final"),
        ({"duration_s": "3"}, "duration_s"),
        ({"redelivery_s": -1}, "redelivery_s"),
        ({"display_name": "x" * 256}, "display_name"),
        ({"context": "x"}, "context"),
        ({"context": {"model": 3}}, "context.model"),
        ({"notify": "yes"}, "notify"),
        ({"notify": {"on": ["success", "never"]}}, "notify.on[1]"),
        ({"notify": {"subject_template": "x" * 4097}}, "notify.subject_template"),
        ({"error": 3}, "error"),
        ({"error": {"message": 3}}, "error.message"),
        ({"progress": {"percent": 101}}, "progress.percent"),
    ],
)
def test_what_is_wrong_is_refused_naming_the_field(fields: dict[str, Any], field: str) -> None:
    bad = refused(json.dumps(SMALLEST | fields).encode())
    assert bad.field == field
    assert bad.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"final": "ja"}, 'true or false is allowed, not "ja"'),
        ({"final": 1}, "true or false is allowed, not 1"),
        ({"final": 0.5}, "true or false is allowed, not 0.5"),
        ({"final": "a\n" * 100}, 'true or false is allowed, not "' + r"a\n" * 32 + '"'),
        ({"final": 10**4000}, "true or false is allowed"),
        ({"final": []}, "true or false is allowed"),
        ({"notify": {"urgent": "maybe"}}, 'true or false is allowed, not "maybe"'),
        ({"notify": "yes"}, 'true or false is allowed, not "yes"; or: Input should be an object'),
    ],
)
def test_of_what_is_neither_true_nor_false_the_value_is_named(fields: dict[str, Any], reason: str) -> None:
    assert refused(json.dumps(SMALLEST | fields).encode()).reason == reason


@pytest.mark.parametrize("field", SMALLEST)
def test_a_missing_required_field_is_named(field: str) -> None:
    fields = {name: value for name, value in SMALLEST.items() if name != field}
    bad = refused(json.dumps(fields).encode())
    assert (bad.field, bad.reason) == (field, "required field missing")


def test_a_misspelt_required_field_is_pointed_at() -> None:
    bad = refused(b'{"taskname": "x", "status": "Completed"}')
    assert bad.field == "task_name"
    assert "did you mean task_name where it says taskname?" in bad.reason


def test_the_reason_for_an_unknown_status_names_the_known_ones() -> None:
    assert "'Completed', 'Stopped', 'Cancelled'" in refused(b'{"task_name": "x", "status": "Done"}').reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the record is empty"),
        (b"", "the record is empty"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b'{"task_name": "\xff"}', "not UTF-8 at byte 15"),
        (b"{", "one event per line"),
        (b'  "task_name": "x",', "one event per line"),
        (b"}", "one event per line"),
        (b'{"task_name": "a", "status": "Running"} {}', "one event per line"),
        (b"[]", "one JSON object"),
        (b'"Completed"', "one JSON object"),
        (b"null", "one JSON object"),
        (b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
        (b"[" * 10_000, "nested too deeply"),
        (b" " * (2 * 1024 * 1024 + 1), "at most 2097152 are allowed"),
    ],
    ids=[
        "tombstone",
        "empty",
        "not UTF-8",
        "UTF-8 broken inside",
        "first line",
        "line of a pretty print",
        "last line",
        "two values",
        "array",
        "string",
        "null",
        "nested in an unknown field",
        "only opened",
        "over 2 MiB",
    ],
)
def test_what_is_no_json_object_is_refused_in_words_for_a_person(value: bytes | None, reason: str) -> None:
    bad = refused(value)
    assert bad.field is None
    assert reason in bad.reason


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b'{"task_name": "x", "status": "Running", "user_id": NULL}', "did you mean null where it says NULL?"),
        (b'{"task_name": "x",\n "final":None }', "did you mean null where it says None?"),
        (b'{"task_name": "x", "final": True}', "did you mean true where it says True?"),
        (b'{"task_name": "\xc3\xa9\xc3\xa9", "final":FALSE}', "did you mean false where it says FALSE?"),
        (b"NULL", "did you mean null where it says NULL?"),
    ],
)
def test_a_word_of_json_in_the_wrong_letter_case_is_pointed_at(value: bytes, hint: str) -> None:
    assert f"; {hint}): one event per line" in refused(value).reason


@pytest.mark.parametrize(
    "value",
    [b'{"a": "NULL",', b'{"a": nope}', b'{"NULL": }', b'{"a": nul', b"{null}", b"NULLS", b'{"a": "x" "NULL": 1}'],
)
def test_other_broken_json_gets_no_such_hint(value: bytes) -> None:
    assert "did you mean" not in refused(value).reason


def test_unknown_fields_are_no_reason_to_refuse() -> None:
    assert event(colour="red", producer={"sdk": "x", "shoe_size": 44}).model_extra == {"colour": "red"}
