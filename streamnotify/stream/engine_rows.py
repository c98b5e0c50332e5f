"""The rows the engine keeps beside a station's own, in the same table and the same record batches.

Their first byte is below 0x20, so that no :class:`~streamnotify.wire.rows.Row` can collide with them.
"""

from __future__ import annotations

import msgspec

POSITION = b"\x01position"
SEEN = b"\x02"  # + source -> (epoch, offset, index), the highest emission applied from there
DUE = b"\x03"  # + waits_for, due time, row key -> empty; in the order they come due
WAKE = b"\x04"  # + row key -> the row's DUE key, so that moving a wake removes the old one
OPEN = b"\x05"  # + attempt key -> number of the attempt that has not ended
IDS = b"\x06ids"
BARRIER = b"\x07barrier"  # only marks the log: appended by each new fence

_encode = msgspec.msgpack.Encoder().encode


class Position(msgspec.Struct, array_like=True):
    """How far a partition's input has been applied; written with every chunk.

    ``applied`` is the last input offset taken in (-1: none), ``clock_ms`` the highest append time seen, ``fired``
    per clock (``WaitsFor``) the DUE key of the last wake handled.
    """

    applied: int = -1
    clock_ms: int = 0
    fired: dict[int, bytes] = {}

    def encode(self) -> bytes:
        """The row's value."""
        return _encode(self)


_decode_position = msgspec.msgpack.Decoder(Position).decode


def decode_position(data: bytes | None) -> Position:
    """The position stored as ``data``; that of an untouched partition if None."""
    return Position() if data is None else _decode_position(data)


class TopicIds(msgspec.Struct, array_like=True):
    """The topics this state was made from (DESIGN 3.8), and the deployment epoch it was last written in."""

    input_id: str
    changelog_id: str
    epoch: int
    sources: dict[str, str] = {}


def encode_ids(ids: TopicIds) -> bytes:
    """The row's value."""
    return _encode(ids)


_decode_ids = msgspec.msgpack.Decoder(TopicIds).decode


def decode_ids(data: bytes | None) -> TopicIds | None:
    """The ids stored as ``data``, None for new state."""
    return None if data is None else _decode_ids(data)


def encode_seen(seen: tuple[int, int, int]) -> bytes:
    """``(epoch, offset, index)`` as a row's value."""
    return _encode(seen)


_decode_seen = msgspec.msgpack.Decoder(tuple[int, int, int]).decode


def decode_seen(data: bytes | None) -> tuple[int, int, int] | None:
    """The identity stored as ``data``, None if nothing was applied from that source."""
    return None if data is None else _decode_seen(data)
