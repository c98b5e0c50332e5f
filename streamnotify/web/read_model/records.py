"""What the records of each topic say. Whatever cannot be used raises, as it does in the worker, and is passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple

import msgspec

from streamnotify.domain.monitors import Monitor
from streamnotify.domain.preferences import Preferences, Profile
from streamnotify.domain.recipients import ORGANIZATION, address_mailbox
from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import RunUpdate
from streamnotify.errors import BadRecord
from streamnotify.stations.context import Record
from streamnotify.stations.ingest import read_update
from streamnotify.stations.public_records import content_of, key_of
from streamnotify.stream.layers import RECORD_ID
from streamnotify.web.read_model.answers import DeadLetter, MonitorResult, Step
from streamnotify.web.read_model.notification_rows import StoredStep, stored
from streamnotify.wire import dead_letter, monitor_config, user, user_preferences
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.fields import NAME_LENGTH

UNUSABLE = (BadRecord, msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)

_POLICY = IngestPolicy()
_LARGEST_STATUS = 64 * 1024  # bytes; ours have some hundred
_LARGE_STATUS = 2 * 1024  # above that the texts in it are cut
_LARGEST_RESULT = 512 * 1024
_TEXT = 1_000  # characters of a text that is only shown
_LONGEST_KEY = 320  # characters: an address
_SHOWN_BYTES = 2_000  # of what could not be used

_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_step = msgspec.json.Decoder(Step).decode
_result = msgspec.json.Decoder(MonitorResult).decode
_named = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class RawRecord(NamedTuple):
    """A record as it lies in the log; ``topic`` is its logical name. ``timestamp`` is in milliseconds, as Kafka's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def step_in(record: RawRecord) -> tuple[str, StoredStep]:
    """A record of notification-status: the notification's id, and the step."""
    value = _value(record, _LARGEST_STATUS)
    step = _step(value)
    if not 0 < len(step.notification_id) <= NAME_LENGTH:
        raise BadRecord("no id of a notification", "notification_id")
    if len(value) > _LARGE_STATUS:
        step = _shortened(step)
    return step.notification_id, stored(step, record.partition, record.offset)


def update_in(record: Record) -> RunUpdate:
    """A record of task-events."""
    return read_update(record, _POLICY)


def result_in(record: RawRecord) -> MonitorResult:
    """A record of monitor-results."""
    return _result(_value(record, _LARGEST_RESULT))


def monitor_in(record: Record) -> tuple[str, Monitor | None]:
    """A record of monitor-configs: a monitor's name, and None if it is deleted."""
    key = key_of(record)
    if record.value is None:
        return _required(key), None
    monitor, _ = monitor_config.parse(content_of(record), key)
    return monitor.name, monitor


def user_in(record: Record) -> tuple[str, Profile | None]:
    """A record of users: a user_id, and None if the person is removed."""
    key = key_of(record)
    if record.value is None:
        return user.user_id_in(key), None
    user_id, said = user.parse(content_of(record), key)
    return user_id, user.profile_of(user_id, said)


def preferences_in(record: Record) -> tuple[str, Preferences | None, int | None]:
    """A record of user-preferences: its key, what it says (None: all is taken back), and its revision."""
    key = _required(key_of(record))
    if len(key) > _LONGEST_KEY:
        raise BadRecord("the record's key is too long")
    if record.value is None:
        return key, None, None
    if key.startswith(ORGANIZATION):
        return key, Preferences(email=user_preferences.parse_organization(content_of(record)).email), None
    said = user_preferences.parse(content_of(record))
    return key, user_preferences.preferences_in(said), said.revision


def mailbox_of_key(key: str) -> str | None:
    """The mailbox of the address that a key of user-preferences is; None if it is none."""
    if "@" not in key or key.startswith(ORGANIZATION):
        return None
    try:
        return address_mailbox(ascii_address(key))
    except ValueError:
        return None


def letter_in(record: RawRecord, failed_at: datetime) -> DeadLetter:
    """A record of dead-letters; ``failed_at`` is when, where it does not say so itself."""
    headers = {name: value or b"" for name, value in record.headers}
    said = _said_at(headers.get(dead_letter.FAILED_AT)) or failed_at
    return DeadLetter(
        id=f"{record.partition}-{record.offset}",
        failed_at=said,
        topic=_text(headers.get(dead_letter.TOPIC)),
        partition=_number(headers.get(dead_letter.PARTITION)),
        offset=_number(headers.get(dead_letter.OFFSET)),
        stage=_text(headers.get(dead_letter.STAGE)),
        error_class=_text(headers.get(dead_letter.ERROR_CLASS)),
        reason=_text(headers.get(dead_letter.REASON)),
        field=_text(headers.get(dead_letter.FIELD)),
        attempts=_number(headers.get(dead_letter.ATTEMPTS)),
        replay_count=_number(headers.get(dead_letter.REPLAY_COUNT)),
        organization_id=_organization_in(record.value),
        key=_text(record.key),
        value=_text(record.value, _SHOWN_BYTES),
        size=None if record.value is None else len(record.value),
    )


def identity_of(record: RawRecord) -> str:
    """What a repeated record has in common with the first: the engine gives each its own id (DESIGN 3.7)."""
    given = next((value for name, value in record.headers if name == RECORD_ID), None)
    return _text(given) or f"{record.partition}-{record.offset}"


def _value(record: RawRecord, most: int) -> bytes:
    value = record.value
    if value is None or len(value) > most:
        raise BadRecord("nothing, or too much, lies there")
    return value


def _required(key: str | None) -> str:
    if not key or len(key) > _TEXT:
        raise BadRecord("the record has no key, or too long a one")
    return key


def _shortened(step: Step) -> Step:
    cut = {
        name: value[:_TEXT]
        for name in Step.__struct_fields__
        if isinstance(value := getattr(step, name), str) and name != "status"
    }
    return msgspec.structs.replace(step, **cut)


def _text(data: bytes | str | None, most: int = _TEXT) -> str | None:
    return data[:most].decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data


def _number(data: bytes | None) -> int | None:
    return int(data) if data is not None and data.isdigit() and len(data) <= 18 else None


def _said_at(data: bytes | None) -> datetime | None:
    try:
        return msgspec.convert((data or b"").decode(), type=_Aware)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return None


def _organization_in(value: bytes | None) -> str | None:
    """What a record that could not be used says of whose it is, if it is readable at all."""
    try:
        given = msgspec.json.decode(_named(value or b"").get("organization_id", b"null"), type=str | int | None)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return str(given)[:NAME_LENGTH] if given is not None else None
