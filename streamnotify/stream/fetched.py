"""How fetched bytes become records.

Header names that are no UTF-8: clients in C can write them, and the broker takes them. aiokafka fails on them each time
they are fetched, which would stop the partition for good (DESIGN 3.12). And it unpacks record by record into
dataclasses, which takes three times as long as whole batches of these and keeps the garbage collector busy.

Touches private parts of aiokafka; tests/stream/test_fetched.py breaks when they change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT = 8  # of a record batch's length field, which counts from its own end
_LENGTH_END = 12


def replace_aiokafkas_records() -> None:
    """From now on every fetched record is a FetchedRecord; what is no UTF-8 in a header's name is U+FFFD."""
    fetcher.MemoryRecords = _KeptRecords
    fetcher.PartitionRecords = _Records
    fetcher.FetchResult = _Result


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
    """Unpacks a record batch at a time, and one that the fast reader fails on with the slow one."""

    next_fetch_offset: int  # behind what was taken
    _records: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._unpacked: list[FetchedRecord] = []  # of the current batch
        self._taken = 0  # how many of them
        self._batch_end = self.next_fetch_offset

    def __next__(self) -> FetchedRecord:
        for record in self.take(1):
            return record
        raise StopIteration

    def take(self, most: int | None) -> list[FetchedRecord]:
        """The next records, ``most`` of them at most; fewer only if there are no more.

        Raises:
            CorruptRecordException: if a batch arrived damaged; it is to be fetched again, and what was not handed over.
        """
        taken: list[FetchedRecord] = []
        start = self.next_fetch_offset
        while (left := None if most is None else most - len(taken)) != 0:
            try:
                if self._taken == len(self._unpacked) and not self._unpack():
                    break
            except CorruptRecordException:
                self._records, self._unpacked, self._taken = _SlowRecords(b"", start), [], 0
                self.next_fetch_offset = start
                raise
            part = self._unpacked[self._taken : None if left is None else self._taken + left]
            taken += part
            self._taken += len(part)
            at_end = self._taken == len(self._unpacked)
            # What lies between the last record and the end was compacted away; the next fetch must not return there.
            self.next_fetch_offset = self._batch_end if at_end else part[-1].offset + 1
        return taken

    def _unpack(self) -> bool:
        """Go on to the next batch, which may have nothing for us; whether there is one."""
        if not self._records.has_next():
            return False
        batch = self._records.next_batch()
        if self._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {self._tp}")
        records = [] if self._is_hidden(batch) else self._read(batch)
        self._unpacked, self._taken, self._batch_end = records, 0, batch.next_offset
        if not records:
            self.next_fetch_offset = self._batch_end
        return True

    def _is_hidden(self, batch: Any) -> bool:
        """Whether it holds a transaction's end, or what was written in an aborted one."""
        if self._isolation_level == fetcher.READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _read(self, batch: Any) -> list[FetchedRecord]:
        """What is to be fetched of a batch; a compressed one begins where it likes."""
        start, (topic, partition) = self.next_fetch_offset, self._tp
        try:
            return [
                FetchedRecord(
                    topic,
                    partition,
                    record.offset,
                    record.timestamp,
                    record.timestamp_type,
                    record.key,
                    record.value,
                    tuple(record.headers),
                )
                for record in batch
                if record.offset >= start
            ]
        except UnicodeDecodeError:
            self._records = _SlowRecords(self._records.data, start)
            return self._read(self._records.next_batch())


class _Result(fetcher.FetchResult):  # type: ignore[misc]  # untyped
    """Hands records over as they were unpacked: together."""

    _partition_records: _Records | None

    def getall(self, max_records: int | None = None) -> list[FetchedRecord]:
        """As aiokafka's, which moves the position on record by record."""
        if not self.check_assignment(self._topic_partition) or self._partition_records is None:
            return []
        records = self._partition_records.take(max_records)
        self._update_position()
        if max_records is None or len(records) < max_records:
            self._partition_records = None
        return records


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
