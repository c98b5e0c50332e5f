"""How fetched bytes become records.

Header names that are no UTF-8: clients in C can write them, and the broker takes them. aiokafka fails on them each time
they are fetched, which would stop the partition for good (DESIGN 3.12). And its records are dataclasses, which cost
twice the time of these and keep the garbage collector busy.

Touches private parts of aiokafka; tests/stream/test_fetched.py breaks when they change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

_LENGTH_AT = 8  # of a record batch's length field, which counts from its own end
_LENGTH_END = 12


def replace_aiokafkas_records() -> None:
    """From now on every fetched record is a FetchedRecord; what is no UTF-8 in a header's name is U+FFFD."""
    fetcher.MemoryRecords = _KeptRecords
    fetcher.PartitionRecords = _Records


class FetchedRecord(msgspec.Struct, gc=False):
    """A record as it lies in the log; see :class:`streamnotify.stations.context.Record`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    checksum = None  # this and the sizes: Faust passes them on, nobody looks at them
    serialized_key_size = 0
    serialized_value_size = 0


class _KeptRecords(MemoryRecords):  # type: ignore[misc]  # untyped
    """aiokafka's fast reader, which remembers what it reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]  # untyped
    """Reads on with the slow reader from the record on which the fast one has failed."""

    _records: Any
    _records_iterator: Iterator[Any]

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except UnicodeDecodeError:
            self._records = _SlowRecords(self._records.data, self.next_fetch_offset)
            self._records_iterator = self._unpack_records()  # in the first batch it passes over what was read
            return next(self._records_iterator)

    def _consumer_record(self, tp: TopicPartition, record: Any) -> FetchedRecord:
        return FetchedRecord(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            tuple(record.headers),
        )


class _SlowRecords:
    """Record batches read by Python, from the one that holds ``offset`` on."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._batches = [batch for batch in _batches(data) if batch.next_offset > offset][::-1]

    def has_next(self) -> bool:
        """Whether there is another batch."""
        return bool(self._batches)

    def next_batch(self) -> Any:
        """The next batch."""
        return self._batches.pop()


def _batches(data: bytes) -> Iterator[_LenientBatch]:
    """The whole batches of an answer; its last one may be cut off."""
    start = 0
    while len(data) - start >= _LENGTH_END:
        end = start + _LENGTH_END + struct.unpack_from(">i", data, start + _LENGTH_AT)[0]
        if end > len(data):
            return
        yield _LenientBatch(memoryview(data)[start:end])
        start = end


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # untyped
    _buffer: bytearray

    def _read_msg(self) -> Any:
        if not isinstance(self._buffer, _LenientBytes):
            self._buffer = _LenientBytes(self._buffer)
        return super()._read_msg()


class _LenientBytes(bytearray):
    """Bytes whose slices are decoded whatever they hold."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _LenientBytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """As bytes.decode, but never failing."""
        return super().decode(encoding, errors)
