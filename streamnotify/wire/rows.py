"""State rows: ``<kind byte><key>`` -> a msgpack array whose first element is the version of the row's layout."""

from __future__ import annotations

import dataclasses
import operator
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode


class Row(Generic[T]):
    """One kind of state row: how its key and its value look as bytes.

    A dataclass is stored as an array of its fields in order; any other type as a one-element array.

    Args:
        kind: one printable ASCII byte, unique within its station. Bytes below 0x20 belong to the engine.
        type_: what the row holds; anything msgspec can encode, a frozen dataclass of ``domain`` as a rule.
        version: layout number, written first. Raise it when fields change and give ``upcasts`` the old one.
        upcasts: per old version a function from the decoded old array (without the version) to the value.
        ordered: whether stations read the kind in key order (``Context.scan``).

    Raises:
        ValueError: if ``kind`` is not one printable byte.
    """

    __slots__ = ("_from_array", "_to_array", "_typed", "_upcasts", "_version", "kind", "ordered", "type")

    def __init__(
        self,
        kind: bytes,
        type_: type[T],
        *,
        version: int = 1,
        upcasts: dict[int, Callable[[list[Any]], T]] | None = None,
        ordered: bool = False,
    ) -> None:
        if len(kind) != 1 or not 0x20 < kind[0] < 0x7F:
            raise ValueError(f"kind: one printable ASCII byte is allowed, not {kind!r}")
        self.kind = kind
        self.type = type_
        self.ordered = ordered
        self._version = version
        self._upcasts = upcasts or {}
        if dataclasses.is_dataclass(type_):
            hints = typing.get_type_hints(type_)
            names = [field.name for field in dataclasses.fields(type_)]
            fields = _as_tuple(names)
            layout = [hints[name] for name in names]
            self._to_array: Callable[[T], tuple[Any, ...]] = lambda value: (version, *fields(value))
            self._from_array: Callable[[Any], T] = lambda array: type_(*array[1:])
        else:
            layout = [type_]
            self._to_array = lambda value: (version, value)
            self._from_array = operator.itemgetter(1)
        self._typed: Callable[[bytes], Any] = msgspec.msgpack.Decoder(
            # The version as a literal: an older row goes through its upcast even if its layout still reads.
            tuple[(typing.Literal[version], *layout)]  # type: ignore[valid-type]  # known at run time only
        ).decode

    def key(self, key: str) -> bytes:
        """The row's key in the state: kind byte, then ``key`` as UTF-8."""
        return self.kind + key.encode()

    def encode(self, value: T) -> bytes:
        """The value as bytes, layout version first."""
        return _encode(self._to_array(value))

    def decode(self, data: bytes) -> T:
        """The value written by :meth:`encode`, also by an older version that has an upcast.

        Raises:
            msgspec.ValidationError: if the bytes are no row of this kind.
        """
        try:
            return self._from_array(self._typed(data))
        except msgspec.ValidationError:
            version, *old = msgspec.msgpack.decode(data)
            if version == self._version or version not in self._upcasts:
                raise
            return self._upcasts[version](old)


def keys_below(name: str) -> tuple[str, str]:
    """Where the keys of what belongs to ``name`` begin, and where they are over.

    The length in front keeps names apart whatever they contain, the separator included.
    """
    prefix = f"{len(name)}:{name}"
    return f"{prefix}\0", f"{prefix}\1"


def _as_tuple(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    getter = operator.attrgetter(*names)
    return getter if len(names) > 1 else lambda value: (getter(value),)
