"""The RocksDB state of one partition, behind the Store protocol; Faust's table owns the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import rocksdict

from streamnotify.errors import EngineFailure
from streamnotify.stream.data_dir import discard_database_if_old, mark_database_alive
from streamnotify.wire.rows import Row

T = TypeVar("T")

CACHE_BYTES = 128 << 20  # shared by all partitions of all tables
MEMTABLE_BYTES = 4 << 20  # per partition and table


class PartitionStore:
    """Reads and writes of one partition of a Faust table; opened and closed by the table in rebalances.

    Args:
        table: the station's Faust table.
        partition: the partition.
    """

    def __init__(self, table: Any, partition: int) -> None:
        self._data = table.data
        self._dbs = table.data._dbs
        self._partition = partition
        self.changelog: str = table.changelog_topic_name

    @property
    def offset(self) -> int | None:
        """The last changelog offset it holds, None if empty."""
        value = self.read(self._data.offset_key)
        return None if value is None else int(value)

    @property
    def _db(self) -> rocksdict.Rdict:
        return self._dbs[self._partition]  # type: ignore[no-any-return]  # Faust is typed loosely

    def open(self) -> PartitionStore:
        """Open the database, if the table has not done so yet."""
        self._data._db_for_partition(self._partition)
        return self

    def mark_alive(self) -> None:
        """The partition is ours now; called every so often."""
        mark_database_alive(Path(self._data.partition_path(self._partition)))

    def read(self, key: bytes) -> bytes | None:
        """The value of ``key`` or None.

        Raises:
            EngineFailure: if the disk cannot be read.
        """
        try:
            return self._dbs[self._partition].get(key)  # type: ignore[no-any-return]  # raw mode: bytes in, bytes out
        except Exception as exc:
            raise EngineFailure(f"state cannot be read: {exc}") from exc

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows from ``start`` (included) to ``stop`` (excluded), in order.

        Raises:
            EngineFailure: if the disk cannot be read.
        """
        try:
            iterator = self._db.iter()
            iterator.seek(start)
            while iterator.valid() and (key := iterator.key()) < stop:
                yield key, iterator.value()
                iterator.next()
        except Exception as exc:
            raise EngineFailure(f"state cannot be read: {exc}") from exc

    def scan_back(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The same rows, the last first.

        Raises:
            EngineFailure: if the disk cannot be read.
        """
        try:
            iterator = self._db.iter()
            iterator.seek_for_prev(stop)
            while iterator.valid() and (key := iterator.key()) >= start:
                if key < stop:
                    yield key, iterator.value()
                iterator.prev()
        except Exception as exc:
            raise EngineFailure(f"state cannot be read: {exc}") from exc

    def write(self, batch: rocksdict.WriteBatch, offset: int) -> None:
        """Write a batch and, in the same step, the changelog offset it corresponds to.

        Raises:
            EngineFailure: if the disk cannot be written.
        """
        batch.put(self._data.offset_key, b"%d" % offset)
        try:
            self._db.write(batch)
        except Exception as exc:
            raise EngineFailure(f"state cannot be written: {exc}") from exc

    def get(self, row: Row[T], key: str) -> T | None:
        """A station's persisted row; see :class:`streamnotify.stations.context.Rows`."""
        data = self.read(row.key(key))
        return None if data is None else row.decode(data)


class SharedOptions:
    """Opens the partitions' databases with one block cache for all (Faust's options are per partition and table)."""

    def __init__(self) -> None:
        self._cache = rocksdict.Cache(CACHE_BYTES)

    def open(self, path: Any, *, read_only: bool = False) -> rocksdict.Rdict:
        """Open the database at ``path``, empty if it is too old; called by Faust's RocksDB store."""
        discard_database_if_old(Path(path))
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(MEMTABLE_BYTES)
        options.set_max_write_buffer_number(2)
        options.set_max_open_files(64)
        options.set_memtable_prefix_bloom_ratio(0.1)  # most rows read are new ones: misses cost a third less
        options.set_memtable_whole_key_filtering(True)
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_bloom_filter(10, block_based=False)
        blocks.set_block_cache(self._cache)
        options.set_block_based_table_factory(blocks)
        return rocksdict.Rdict(str(path), options=options)


def share_cache(tables: Mapping[str, Any]) -> None:
    """Make every table open its partitions with one :class:`SharedOptions`."""
    options = SharedOptions()
    for table in tables.values():
        table.data.rocksdb_options = options
