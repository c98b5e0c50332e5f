"""directory: from a person's record to who the superusers are."""

from __future__ import annotations

from typing import Any

import pytest

from streamnotify.domain.recipients import SUPERUSERS
from streamnotify.errors import BadRecord
from streamnotify.stations import directory
from streamnotify.stations.context import Record
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire import dead_letter
from streamnotify.wire.commands import SetSuperuser
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, USERS
from tests.stations.fake_context import FakeContext, FakeRecord, a_record

ANN = {"user_id": "u1", "email": "Ann@Example.com", "name": "Ann", "is_superuser": True}


def told(record: Record) -> SetSuperuser:
    """The one thing the superusers' mailbox is told."""
    ctx = FakeContext()
    directory.station().handle(record, ctx)
    [(topic, key, command)] = ctx.emitted
    assert (topic, key) == (MAILBOXES, SUPERUSERS)
    assert isinstance(command, SetSuperuser)
    return command


@pytest.mark.parametrize("key", [b"u1", None, b""])
def test_a_superuser_is_told_of_with_address_and_name(key: bytes | None) -> None:
    assert told(a_record(ANN, key=key)) == SetSuperuser("u1", "Ann@example.com", "Ann")


def test_the_key_stands_in_for_the_user_id() -> None:
    record = {"email": "ann@example.com", "is_superuser": True, "email_verified": None, "is_active": None}
    assert told(a_record(record, key=b"u1")) == SetSuperuser("u1", "ann@example.com", None)


@pytest.mark.parametrize(
    "change",
    [
        {"is_superuser": False},
        {"is_superuser": None},
        {"is_active": False},
        {"email_verified": False},
        {"email": None},
        {"email": ""},
        {"email": "nobody"},
        {"email": "ann@exam ple.com"},
    ],
)
def test_whoever_is_none_or_cannot_be_mailed_is_no_superuser_any_more(change: dict[str, Any]) -> None:
    assert told(a_record(ANN | change)) == SetSuperuser("u1", None)


def test_a_superuser_without_valid_address_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told(a_record(ANN | {"email": "nobody"}))
    assert caplog.messages == ["superuser u1 is told nothing: 'nobody' is no address"]


def test_a_record_without_value_removes_the_person_its_key_names() -> None:
    assert told(FakeRecord(None, key=b"u1")) == SetSuperuser("u1", None)


def test_a_cloudevent_is_opened() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": ANN}
    assert told(a_record(event, key=b"u1")) == SetSuperuser("u1", "Ann@example.com", "Ann")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (a_record(ANN | {"is_superuser": "yes"}), "is_superuser"),
        (a_record(ANN, key=b"u2"), "user_id"),
        (a_record({}), "user_id"),
        (FakeRecord(None), "user_id"),
        (FakeRecord(b"{", key=b"u1"), None),
        (FakeRecord(b"{}", key=b"\xff"), None),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_with_its_field(record: FakeRecord, field: str | None) -> None:
    with pytest.raises(BadRecord) as refusal:
        directory.station().handle(record, FakeContext())
    assert refusal.value.field == field


def test_in_the_engine_a_bad_record_stops_nothing_and_its_dead_letter_names_the_field() -> None:
    engine = MemoryEngine([directory.station()])
    engine.put(USERS, {"is_superuser": "yes"}, key=b"u1", settle=False)
    engine.put(USERS, ANN, key=b"u1")
    [letter] = engine.records(DEAD_LETTERS)
    headers = dict(letter.headers)
    assert (headers[dead_letter.STAGE], headers[dead_letter.FIELD]) == (b"directory", b"is_superuser")
    assert len(engine.records(MAILBOXES)) == 1


def test_a_misspelt_field_is_pointed_out_once(caplog: pytest.LogCaptureFixture) -> None:
    handle = directory.station().handle
    for _ in range(3):
        handle(a_record(ANN | {"is_superusr": True}), FakeContext())
    assert caplog.messages == ["unknown field 'is_superusr' in a user: did you mean is_superuser?"]
