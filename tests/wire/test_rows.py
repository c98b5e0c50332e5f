"""State rows: what is written is read, also by the next version of the code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.wire.rows import Row


@dataclass(frozen=True)
class Inner:
    """A part of a row."""

    name: str
    at: datetime | None = None


@dataclass(frozen=True)
class Kept:
    """A row."""

    count: int
    note: str | None
    wait: timedelta
    inner: tuple[Inner, ...]


@dataclass(frozen=True)
class One:
    """A row of one field."""

    only: int


INSTANTS = st.datetimes(timezones=st.just(UTC))
INNERS = st.builds(Inner, st.text(), st.none() | INSTANTS)
KEPT = st.builds(
    Kept,
    st.integers(-(2**63), 2**64 - 1),
    st.none() | st.text(),
    st.timedeltas(timedelta(-1000), timedelta(1000)),
    st.lists(INNERS, max_size=3).map(tuple),
)


@given(KEPT)
def test_a_dataclass_comes_back_as_it_was(kept: Kept) -> None:
    """Instants, durations and dataclasses within it too."""
    row = Row(b"k", Kept)
    assert row.decode(row.encode(kept)) == kept


@pytest.mark.parametrize(
    ("type_", "value"), [(int, 7), (str, "ä"), (list[int], [1, 2]), (One, One(3)), (dict[str, int], {"a": 1})]
)
def test_anything_else_comes_back_as_it_was(type_: Any, value: Any) -> None:
    """As a one-element array."""
    row: Row[Any] = Row(b"k", type_)
    assert row.decode(row.encode(value)) == value


def test_a_row_is_an_array_that_begins_with_its_version() -> None:
    """DESIGN section 9, "Codecs": no field names on the disk."""
    assert msgspec.msgpack.decode(Row(b"o", One, version=3).encode(One(9))) == [3, 9]


def test_the_key_is_the_kind_and_the_text() -> None:
    """Kinds keep rows of one station apart."""
    assert Row(b"o", One).key("Zoë") == b"oZo\xc3\xab"


@pytest.mark.parametrize("kind", [b"", b"ab", b"\x01", b" ", b"\x7f"])
def test_a_kind_is_one_printable_byte(kind: bytes) -> None:
    """The others are the engine's."""
    with pytest.raises(ValueError, match="one printable ASCII byte"):
        Row(kind, One)


def test_an_old_version_is_read_through_its_upcast() -> None:
    """The old array, without its version, becomes the value of now."""
    old = Row(b"o", One, version=1)
    new = Row(b"o", Kept, version=2, upcasts={1: lambda fields: Kept(fields[0], None, timedelta(0), ())})
    assert new.decode(old.encode(One(5))) == Kept(5, None, timedelta(0), ())


def test_an_old_version_is_upcast_even_if_its_layout_still_reads() -> None:
    """A field may have changed its meaning without changing its type."""
    old = Row(b"o", One, version=1)
    new = Row(b"o", One, version=2, upcasts={1: lambda fields: One(fields[0] * 1000)})
    assert new.decode(old.encode(One(5))) == One(5000)


@pytest.mark.parametrize("data", [b"\xc1", b"", msgspec.msgpack.encode([1, "text"]), msgspec.msgpack.encode([9, 1])])
def test_bytes_that_are_no_such_row_are_refused(data: bytes) -> None:
    """Also a version from the future."""
    with pytest.raises(msgspec.DecodeError):
        Row(b"o", One, version=1).decode(data)
