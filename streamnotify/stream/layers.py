"""Overlays: what a record changes lies on top of what its chunk changes, which lies on top of the store.

A record's layer is laid onto the chunk when its handler has returned, or thrown away when it failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from streamnotify.errors import BadRecord
from streamnotify.stations.context import WaitsFor
from streamnotify.stream import wakes
from streamnotify.stream.engine_rows import OPEN
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

T = TypeVar("T")

# One record batch on the changelog holds a chunk; 800 KB counted leaves room for headers below 1 MiB (DESIGN 3.5).
CHUNK_BYTES = 800_000
IDENTITY = "sn-from"  # header of an emission to an internal topic: where it came from (DESIGN 3.7)
RECORD_ID = "sn-id"  # header of a record on a public topic: the same for every repetition of it
ROW_OVERHEAD = 24  # bytes a row or emission takes on the log beside its key and value, rounded up


class Store(Protocol):
    """The persisted rows of one partition."""

    def read(self, key: bytes) -> bytes | None:
        """The value of ``key`` or None."""

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from ``start`` (included) up to ``stop`` (excluded), in order, with their values."""

    def scan_back(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The same keys, the last first."""


class Emission(NamedTuple):
    """A record to be sent before the chunk's state is persisted; ``everywhere``: one to each partition of the topic."""

    topic: Topic
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    command: Any = None  # kept where commands are folded before they are encoded
    everywhere: bool = False


class Layer:
    """Changed rows, emissions and started attempts on top of something that can be read."""

    __slots__ = ("below", "emissions", "ordered", "rows", "size", "started")

    def __init__(self, below: Layer | Store) -> None:
        self.below = below
        self.ordered: set[bytes] = set()  # the keys of ordered rows that are in ``rows``: few, where those are many
        self.rows: dict[bytes, bytes | None] = {}
        self.emissions: list[Emission] = []
        self.started: list[tuple[str, int]] = []
        self.size = 0

    def read(self, key: bytes) -> bytes | None:
        """The row as this layer sees it, by its stored key."""
        rows = self.rows
        return rows[key] if key in rows else self.below.read(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Set a row, or remove it with None."""
        self.rows[key] = value
        self.size += len(key) + ROW_OVERHEAD
        if value is not None:
            self.size += len(value)

    def absorb(self, above: Layer) -> bool:
        """Lay a finished layer onto this one, if it fits; the first always does."""
        size = self.size + above.size
        if size > CHUNK_BYTES and self.size:
            return False
        self.size = size
        self.rows.update(above.rows)
        if above.ordered:
            self.ordered |= above.ordered
        if above.emissions:
            self.add_emissions(above.emissions)
        if above.started:
            self.started += above.started
        return True

    def scan_back(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As the store's, with what this layer has changed."""
        below = self.below.scan_back(start, stop)
        if not self.ordered:
            return below
        mine = sorted((key for key in self.ordered if start <= key < stop), reverse=True)
        return _overlaid(below, mine, self.rows) if mine else below

    def add_emissions(self, emissions: list[Emission]) -> None:
        """Append emissions, in their order."""
        self.emissions += emissions


class Origin:
    """The record a context belongs to, as far as the engine needs it.

    Args:
        identity: start of the identities of what its partition emits, ``station/topic id/partition/epoch/``.
        offset: the record's.
        now_ms: the record's time in milliseconds, or None where the station has no clock.
        fired: per clock the DUE key of the last wake handled; wakes are clamped to after it.
        folds: whether commands are folded when the chunk is complete (stations with a Folding).
    """

    __slots__ = ("emitted", "fired", "folds", "identity", "now_ms", "offset", "scanned")

    def __init__(
        self, identity: bytes, offset: int, now_ms: int | None, fired: dict[int, bytes], *, folds: bool = False
    ) -> None:
        self.identity = identity
        self.offset = offset
        self.now_ms = now_ms
        self.fired = fired
        self.folds = folds
        self.emitted = 0  # how many emissions the record has made; the next one's index
        self.scanned = 0  # how many rows it has been shown by scans

    def next_identity(self) -> bytes:
        """The identity of the record's next emission."""
        self.emitted += 1
        return b"%s%d/%d" % (self.identity, self.offset, self.emitted - 1)


class RecordContext(Layer):
    """The :class:`~streamnotify.stations.context.Context` of one record, or of one wake handled within a tick.

    Args:
        below: the chunk, or the tick's context.
        origin: the record.
    """

    __slots__ = ("origin",)

    def __init__(self, below: Layer, origin: Origin) -> None:
        super().__init__(below)
        self.origin = origin

    def begin(self, offset: int, now_ms: int | None) -> None:
        """Forget what lies here and serve the record at ``offset``: one context serves a chunk's records in turn."""
        self.rows = {}
        self.ordered = set()
        self.emissions = []
        self.started = []
        self.size = 0
        origin = self.origin
        origin.offset, origin.now_ms, origin.emitted, origin.scanned = offset, now_ms, 0, 0

    @property
    def now(self) -> datetime:
        """See Context."""
        if self.origin.now_ms is None:
            raise RuntimeError("a station on public topics has no clock (DESIGN 3.3)")
        return wakes.instant(self.origin.now_ms)

    def get(self, row: Row[T], key: str) -> T | None:
        """See Context."""
        stored = row.kind + key.encode()
        data = self.rows[stored] if stored in self.rows else self.below.read(stored)
        return None if data is None else row.decode(data)

    def scan(self, row: Row[T], start: str, stop: str) -> Iterator[tuple[str, T]]:
        """See Context."""
        for key, data in self.scan_back(row.key(start), row.key(stop)):
            self.origin.scanned += 1
            yield key[1:].decode(), row.decode(data)

    def put(self, row: Row[T], key: str, value: T) -> None:
        """See Context."""
        stored, data = row.kind + key.encode(), row.encode(value)
        self.rows[stored] = data
        if row.ordered:
            self.ordered.add(stored)
        self.size += len(stored) + len(data) + ROW_OVERHEAD
        if self.size > CHUNK_BYTES:
            self._refuse()

    def delete(self, row: Row[T], key: str) -> None:
        """See Context."""
        stored = row.key(key)
        self.write(stored, None)
        if row.ordered:
            self.ordered.add(stored)

    def wake(self, row: Row[T], key: str, at: datetime | None, *, waits_for: WaitsFor = WaitsFor.BROKER) -> None:
        """See Context."""
        wakes.set_wake(self, row.key(key), at, waits_for, self.origin.fired.get(waits_for))

    def emit(self, topic: Topic, key: str | bytes | None, command: Any) -> None:
        """See Context."""
        if isinstance(key, str):
            key = key.encode()
        self._emit(topic, key, command)

    def emit_everywhere(self, topic: Topic, command: Any) -> None:
        """See Context."""
        self._emit(topic, None, command, everywhere=True)

    def _emit(self, topic: Topic, key: bytes | None, command: Any, *, everywhere: bool = False) -> None:
        if topic.internal and self.origin.folds:  # encoded when the chunk is complete; merging needs no identity
            self.emissions.append(Emission(topic, key, None, [], command, everywhere))
            return
        value, identity = topic.encode(command), self.origin.next_identity()
        header = (IDENTITY if topic.internal else RECORD_ID, identity)
        self.emissions.append(Emission(topic, key, value, [header], everywhere=everywhere))
        self.size += len(value) + len(identity) + ROW_OVERHEAD
        if self.size > CHUNK_BYTES:
            self._refuse()

    def start(self, key: str, number: int) -> None:
        """See Context."""
        self.write(OPEN + key.encode(), number.to_bytes(8, "big"))
        self.started.append((key, number))

    def _refuse(self) -> None:
        raise BadRecord(f"its changes take more than {CHUNK_BYTES} bytes; a record must fit into one chunk")


def _overlaid(
    below: Iterator[tuple[bytes, bytes]], changed: list[bytes], rows: dict[bytes, bytes | None]
) -> Iterator[tuple[bytes, bytes]]:
    """Rows in descending order, with those of ``changed`` (descending too) in place of what lies below."""
    at = 0
    for key, value in below:
        while at < len(changed) and changed[at] > key:
            yield from _present(changed[at], rows)
            at += 1
        if at < len(changed) and changed[at] == key:
            yield from _present(key, rows)
            at += 1
        else:
            yield key, value
    for key in changed[at:]:
        yield from _present(key, rows)


def _present(key: bytes, rows: dict[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
    value = rows[key]
    if value is not None:
        yield key, value
