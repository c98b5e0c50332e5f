"""Any Python value as JSON values: nothing raises, secrets stay here, and what is endless is left out."""

from __future__ import annotations

import enum
import math
import numbers
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

KEY_LENGTH = 128  # characters
MOST_LEVELS = 32
REDACTED = "[redacted]"
LEFT_OUT = object()

_INT64 = range(-(2**63), 2**64)  # what every reader of JSON in streamnotify can carry
_CONTAINERS = (dict, list, tuple, set, frozenset, Mapping)
_SECRET = re.compile("password|passwd|token|secret|apikey|authorization|cookie")
_NOT_LETTERS = re.compile("[^a-z]+")


class TooLarge(Exception):
    """There is more in a value than anybody would take."""


def text(value: Any, most: int, *, keep_end: bool = False) -> str:
    """``value`` as at most ``most`` characters that can be written as UTF-8; what does not fit is cut off.

    Raises:
        Exception: whatever the value's own ``__str__`` does.
    """
    said = value.decode(errors="replace") if isinstance(value, bytes | bytearray) else str(value)
    said = said[-most:] if keep_end else said[:most]
    return said.encode(errors="replace").decode()  # lone surrogates


def key_text(key: Any) -> str | None:
    """A mapping's key as JSON has it; None if it cannot say what it is."""
    try:
        return text(key, KEY_LENGTH)
    except Exception:  # noqa: BLE001 - its own __str__
        return None


def is_secret(key: str, value: Any) -> bool:
    """Whether what stands under ``key`` is probably nobody's business; numbers of tokens are no secret."""
    letters = _NOT_LETTERS.sub("", key.lower())
    return _SECRET.search(letters) is not None and not ("tokens" in letters and isinstance(value, int | float))


class JsonSafe:
    """Makes one value JSON-safe; a call for each part of it, all within one bound.

    Args:
        size: how much may be taken in all, in characters, each value counting as two more.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._within: set[int] = set()  # the containers around the value at hand, by identity

    def value(self, value: Any, most: int) -> Any:
        """``value`` in types that JSON has, or LEFT_OUT.

        NaN and infinities become None. What is no JSON becomes text, and is left out if it cannot even say what it is,
        is part of itself or lies too deep.

        Args:
            most: how much of the size this value may take.

        Raises:
            TooLarge: if that is not enough.
        """
        most = min(most, self._left)
        before, self._left = self._left, most
        try:
            return self._part(value)
        finally:
            self._left += before - most

    def _part(self, value: Any) -> Any:
        try:
            return self._safe(value)
        except TooLarge:
            raise
        except Exception:  # noqa: BLE001 - code of others made the value
            return LEFT_OUT

    def _safe(self, value: Any) -> Any:
        self._take(2)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, _CONTAINERS):
            return self._container(value)
        return self._number(value) if isinstance(value, numbers.Real) else self._text(value)

    def _number(self, value: Any) -> Any:
        if isinstance(value, numbers.Integral):
            return int(value) if int(value) in _INT64 else self._text(value)
        number = float(value)
        return number if math.isfinite(number) else None

    def _text(self, value: Any) -> str:
        said = value.isoformat() if isinstance(value, datetime) else text(value, self._left + 1)
        self._take(len(said))
        return said

    def _container(self, value: Mapping[Any, Any] | Collection[Any]) -> Any:
        if id(value) in self._within or len(self._within) >= MOST_LEVELS:
            raise ValueError("it is part of itself, or lies too deep")
        self._within.add(id(value))
        try:
            return self._mapping(value) if isinstance(value, Mapping) else self._list(value)
        finally:
            self._within.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        safe: dict[str, Any] = {}
        for given, item in value.items():
            key = key_text(given)
            self._take(2 if key is None else len(key) + 2)
            part = LEFT_OUT if key is None else REDACTED if is_secret(key, item) else self._part(item)
            if key is not None and part is not LEFT_OUT:
                safe[key] = part
        return safe

    def _list(self, value: Collection[Any]) -> list[Any]:
        parts = (self._part(item) for item in value)
        return [part for part in parts if part is not LEFT_OUT]

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLarge
