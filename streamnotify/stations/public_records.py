"""What stations on public topics share: a record's key, content and times, and names that were probably misspelt."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import overload

from streamnotify.errors import BadRecord
from streamnotify.stations.context import Record
from streamnotify.wire.cloudevents import Opened, open_cloudevent, open_unmarked
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.reading import below, near_miss

NAMES_REMEMBERED = 1000  # beyond that they are somebody's data
_KEY_LENGTH = 64  # characters of a record's key that the log shows
_NAMES_LOOKED_AT = 100  # unknown ones of a record: a comparison takes 50 µs, and 2 MiB hold 200,000 names


def key_of(record: Record) -> str | None:
    """The record's key as text.

    Raises:
        BadRecord: if it is none.
    """
    try:
        return None if record.key is None else record.key.decode()
    except UnicodeDecodeError as error:
        raise BadRecord(f"the record's key is not UTF-8 at byte {error.start}") from None


def content_of(record: Record) -> bytes | None:
    """The record's value, or what is inside if it is a CloudEvent.

    Raises:
        BadRecord: if it is a CloudEvent, but not a valid one.
    """
    opened = opened_cloudevent(record)
    return record.value if opened is None else opened.data


def opened_cloudevent(record: Record) -> Opened | None:
    """The CloudEvent that the record is, marked as one or not; None if it is none.

    Raises:
        BadRecord: if it is a CloudEvent, but not a valid one.
    """
    return (open_cloudevent(record.value, record.headers) if record.headers else None) or open_unmarked(record.value)


def published_at(record: Record) -> datetime:
    """The record's Kafka timestamp.

    Raises:
        BadRecord: if it is no time.
    """
    try:
        return datetime.fromtimestamp(record.timestamp / 1000, UTC)
    except (OverflowError, ValueError):
        raise BadRecord(f"the record's Kafka timestamp {record.timestamp} is no time") from None


@overload
def in_utc(at: datetime, field: str) -> datetime: ...
@overload
def in_utc(at: datetime | None, field: str) -> datetime | None: ...
def in_utc(at: datetime | None, field: str) -> datetime | None:
    """A publisher's instant in UTC, which is also the zone of one without (SPEC section 2).

    Raises:
        BadRecord: naming ``field``, if it does not exist there.
    """
    if at is None or at.tzinfo is UTC:
        return at
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise BadRecord("this instant does not exist in UTC", field) from None


def count_misspelt(
    unknown: Mapping[str, object] | None,
    known: tuple[str, ...],
    counted: Counter[str],
    what: str,
    logger: logging.Logger,
    *,
    inside: str = "",
    beside: tuple[str, ...] = (),
) -> None:
    """Count unknown fields that were probably meant to be known ones, and say so once per name (SPEC section 2).

    Args:
        unknown: the record's other fields by name.
        known: the names there are.
        counted: how often each misspelt name has come.
        what: what the record is, such as ``a task event``.
        logger: the station's.
        inside: the field of the record that they stand in; empty: none.
        beside: the names there are beside that field; one of them inside is misplaced.
    """
    for name in islice(unknown or (), _NAMES_LOOKED_AT):
        meant = f"{name} beside {inside}" if name in beside else near_miss(name[:NAME_LENGTH], known)
        if meant is not None and is_new(field := below(inside, name), counted):
            logger.warning("unknown field %r in %s: did you mean %s?", field, what, meant)


def is_new(name: str, counted: Counter[str]) -> bool:
    """Count a name; whether it came for the first time. Once there are too many, new ones are passed over."""
    if name not in counted and len(counted) >= NAMES_REMEMBERED:
        return False
    counted[name] += 1
    return counted[name] == 1


def shown(key: str) -> str:
    """A record's key as a warning names it: quoted, visible and not too long."""
    return repr(key if len(key) <= _KEY_LENGTH else f"{key[:_KEY_LENGTH]}…")
