"""The index of wakes: rows that sort by due time, one per sleeping row (DESIGN 3.9)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from streamnotify.stations.context import WaitsFor
from streamnotify.stream.engine_rows import DUE, WAKE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamnotify.stream.layers import Layer, RecordContext, Store

_PREFIX = len(DUE) + 1
_TIME_BYTES = 8


def milliseconds(at: datetime) -> int:
    """The instant as whole milliseconds since the epoch, rounded up so that no wake comes early."""
    return -int(-at.timestamp() * 1000 // 1)


@lru_cache(maxsize=4096)  # records of one append time, and wakes of one due time, are many
def instant(ms: int) -> datetime:
    """Milliseconds since the epoch as an aware UTC datetime.

    Raises:
        OverflowError, ValueError: if there is no such time.
    """
    return datetime.fromtimestamp(ms / 1000, UTC)


def due_key(waits_for: WaitsFor, at_ms: int, row_key: bytes) -> bytes:
    """The index row's key: clock, time, and who wakes."""
    return DUE + bytes([waits_for]) + max(at_ms, 0).to_bytes(_TIME_BYTES, "big") + row_key


def last_key(waits_for: WaitsFor, at_ms: int) -> bytes:
    """Sorts behind every index row due at ``at_ms``: the keys of rows begin with an ASCII byte."""
    return due_key(waits_for, at_ms, b"\xff")


def parse_due_key(key: bytes) -> tuple[int, bytes]:
    """``(at_ms, row key)`` of an index row's key."""
    return int.from_bytes(key[_PREFIX : _PREFIX + _TIME_BYTES], "big"), key[_PREFIX + _TIME_BYTES :]


def set_wake(
    layer: RecordContext, row_key: bytes, at: datetime | None, waits_for: WaitsFor, fired: bytes | None
) -> None:
    """Set, move or (``at`` None) cancel the wake of a row.

    A time at or before the last fired wake would never be looked at again, so it is moved to right after it.
    """
    old = layer.read(WAKE + row_key)
    new = None
    if at is not None:
        new = due_key(waits_for, milliseconds(at), row_key)
        if fired is not None and new <= fired:
            new = due_key(waits_for, parse_due_key(fired)[0] + 1, row_key)
    if old == new:
        return
    if old is not None:
        layer.write(old, None)
    if new is not None:
        layer.write(new, b"")
    layer.write(WAKE + row_key, new)


def clear_wake(layer: Layer, key: bytes, row_key: bytes) -> None:
    """Remove a wake that has come."""
    layer.write(key, None)
    layer.write(WAKE + row_key, None)


def due(store: Store, waits_for: WaitsFor, until_ms: int, fired: bytes | None) -> Iterator[bytes]:
    """The index keys that are due at ``until_ms``, in order, starting after the last fired one.

    Starting there matters: peeking from the front steps over one tombstone for every wake that has come (5 ms across
    50,000 of them).
    """
    start = due_key(waits_for, 0, b"") if fired is None else fired + b"\0"
    stop = due_key(waits_for, until_ms + 1, b"")
    return (key for key, _ in store.scan(start, stop))
