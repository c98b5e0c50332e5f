"""The one writer of the file.

A batch's rows and the positions behind it are one transaction: killed at any time, what is in the rows and what is read
next always fit together, and nothing is lost or counted twice.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType

import msgspec

from streamnotify.web.read_model import schema
from streamnotify.web.read_model.instants import micros
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.tables import TABLES, end_lost_runs

logger = logging.getLogger(__name__)

Place = tuple[str, int]  # logical name of a topic, and partition

# What a record may do that nobody has thought of; what is known to be wrong with one is found when it is read.
_NOT_STORABLE = (
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    RecursionError,
    msgspec.MsgspecError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
)
_PAGES_KEPT = 1_000  # free ones of the file, for what comes next
_PAGES_AT_ONCE = 5_000  # given back to the disk


class Store:
    """The file, open to be written by one thread of one process; as a context manager it is closed at the end.

    Args:
        path: of the file; it is made if it is not there.

    Every method raises sqlite3.Error if it cannot be read or written; what was to be written then is not.
    """

    def __init__(self, path: Path) -> None:
        self._connection = schema.open_to_write(path)
        self._path, self._file = path, path.stat().st_ino
        self._ids: dict[str, str] = {}

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def follow(self, ids: Mapping[str, str]) -> list[str]:
        """From now on take records of these topics: the id of each, by logical name.

        What was made of another topic of the same name goes.

        Returns:
            the names of those topics.
        """
        rows = self._connection.execute("SELECT DISTINCT topic, topic_id FROM positions").fetchall()
        anew = sorted({topic for topic, id_ in rows if ids.get(topic, id_) != id_})
        with self.transaction():
            for topic in anew:
                for table in TABLES[topic].names:
                    self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
                self._connection.execute("DELETE FROM positions WHERE topic = ?", (topic,))
                if "monitor_tasks" in TABLES[topic].names:
                    self._connection.execute("UPDATE monitor_results SET organization_id = NULL")
        self._ids = dict(ids)
        return anew

    def is_in_place(self) -> bool:
        """Whether what is written can be found: somebody may have removed the file."""
        try:
            return self._path.stat().st_ino == self._file
        except OSError:
            return False

    def positions(self) -> dict[Place, int]:
        """The first offset of each partition that is not in the rows; of one never read there is none."""
        rows = self._connection.execute("SELECT topic, partition, next FROM positions")
        return {(topic, partition): following for topic, partition, following in rows}

    def write(self, batch: Sequence[RawRecord], positions: Mapping[Place, int], now: datetime) -> None:
        """Take in records, and note what is to be read next.

        Args:
            batch: in any order; of topics that are followed.
            positions: the first offset behind the batch, of each partition it is of.
            now: the time, aware.
        """
        by_topic = defaultdict[str, list[RawRecord]](list)
        for record in batch:
            by_topic[record.topic].append(record)
        try:
            with self.transaction():
                for topic, records in by_topic.items():
                    TABLES[topic].write(self._connection, records, micros(now))
                self._connection.executemany(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
                    [(*place, self._ids[place[0]], following) for place, following in positions.items()],
                )
        except _NOT_STORABLE as error:
            self._write_in_parts(batch, positions, now, error)

    def note_progress(self, caught_up_at: datetime | None, behind: int) -> None:
        """Note that everything published before ``caught_up_at`` is in (None: it is not known), or how much is not.

        Then it is also known of which runs nothing more was heard in time.
        """
        at = None if caught_up_at is None else micros(caught_up_at)
        with self.transaction():
            if at is not None:
                end_lost_runs(self._connection, at)
            self._connection.execute(
                "INSERT INTO progress VALUES (1, ?1, ?2) ON CONFLICT (row) DO UPDATE SET "
                "caught_up_at = coalesce(?1, caught_up_at), behind = ?2",
                (at, behind),
            )

    def shrink(self) -> bool:
        """Give some of the room that rows have left back to the disk; whether there is more to give."""
        [free] = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free <= _PAGES_KEPT:
            return False
        pages = min(free - _PAGES_KEPT, _PAGES_AT_ONCE)
        # Not execute: that takes one step of it, which is one page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return True

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection; what is written within the block is written wholly or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _write_in_parts(
        self, batch: Sequence[RawRecord], positions: Mapping[Place, int], now: datetime, error: Exception
    ) -> None:
        """Find the record that cannot be stored, and pass it over."""
        if len(batch) <= 1:
            where = f"{batch[0].topic}-{batch[0].partition}@{batch[0].offset}" if batch else "nothing"
            logger.warning("The record %s cannot be kept, and is passed over: %s", where, error)
            self.write([], positions, now)
            return
        middle = len(batch) // 2
        self.write(batch[:middle], {}, now)
        self.write(batch[middle:], positions, now)
