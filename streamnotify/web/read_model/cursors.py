"""Where a page ends, as the opaque text that asks for the next one."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

K = TypeVar("K", bound=tuple[int | str, ...])

_LONGEST = 1024  # characters of one
_LARGEST = 2**63 - 1  # number that SQLite knows
_encode = msgspec.msgpack.Encoder().encode


class BadCursor(ValueError):
    """It is none that a page has ended with."""


def write(key: tuple[int | str, ...]) -> str:
    """The cursor behind the row with this key."""
    return base64.urlsafe_b64encode(_encode(key)).decode().rstrip("=")


def read(cursor: str, kind: type[K]) -> K:
    """The key that :func:`write` was given; ``kind`` is its type, such as ``tuple[int, int]``.

    Raises:
        BadCursor: if it is none, or one of another list.
    """
    try:
        if len(cursor) > _LONGEST or not cursor.isascii():
            raise ValueError
        key = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
        if any(isinstance(part, int) and part > _LARGEST for part in key):
            raise ValueError
        return key
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadCursor("what `next` of the page before says is allowed") from None
