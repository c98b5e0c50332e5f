"""Instants as the file keeps them: microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def micros(at: datetime) -> int:
    """An aware instant as the file keeps it."""
    return (at - _EPOCH) // _MICROSECOND


@overload
def instant(at: int) -> datetime: ...
@overload
def instant(at: int | None) -> datetime | None: ...
def instant(at: int | None) -> datetime | None:
    """What :func:`micros` has written; what nobody can have written as the nearest instant there is."""
    return None if at is None else _EPOCH + min(max(at, 0), _LATEST) * _MICROSECOND
