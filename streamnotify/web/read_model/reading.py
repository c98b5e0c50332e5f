"""The file as queries see it: a connection for each thread, and pages in the order of a key."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from streamnotify.web.read_model import cursors, schema
from streamnotify.web.read_model.answers import Page
from streamnotify.web.read_model.instants import micros

T = TypeVar("T")

logger = logging.getLogger(__name__)

MOST = 200  # rows of a page
_COUNTED = 5_000  # rows, to see which filter the fewest pass
_PAIRS = (("organization_id", "status"), ("organization_id", "verdict"))  # for which there is an index together


class Reader:
    """Reads the file at ``path``, from any thread. Where there is none, or none that can be read, it is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        try:
            return self._connection().execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            self.close()
            logger.error("The read model %s cannot be read, and counts as empty: %s", self._path, error)
            with closing(schema.empty()) as nothing:
                return nothing.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query; None: there is none."""
        return next(iter(self.rows(sql, parameters)), None)

    def close(self) -> None:
        """Close the connection of this thread."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        self._own.connection = None
        if connection is not None:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        """This thread's, to the file that is there now: it may have been made anew."""
        file = self._file()
        known: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if known is not None and self._own.file == file:
            return known
        self.close()
        connection = schema.open_to_read(self._path)
        if connection is None:  # not there, or not yet with its tables
            connection, file = schema.empty(), None
        self._own.connection, self._own.file = connection, file
        return connection

    def _file(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of a table's rows is narrowed down to.

    Args:
        table: it has ``created_at`` and ``row``, and an index for each of ``equal``.
        equal: by column what it must be; None: anything.
        since: not before, aware.
        until: before, aware.
    """

    table: str
    equal: Mapping[str, str | None]
    since: datetime | None = None
    until: datetime | None = None

    def sql(self, reader: Reader, after: tuple[int, int] | None) -> tuple[str, list[Any]]:
        """The WHERE clause, and its parameters; ``after`` is the last row of the page before.

        The filter that the fewest rows pass finds them by its index, the others look at what it finds. That is what the
        ``+`` is for: without it SQLite chooses an index itself, and knows no better.
        """
        given = {column: value for column, value in self.equal.items() if value is not None}
        finding = self._finding(reader, given)
        conditions = [f"{'' if column in finding else '+'}{column} = ?" for column in given]
        parameters: list[Any] = list(given.values())
        for condition, at in (("created_at >= ?", self.since), ("created_at < ?", self.until)):
            if at is not None:
                conditions.append(condition)
                parameters.append(micros(at))
        if after is not None:
            conditions.append("(created_at, row) < (?, ?)")
            parameters += after
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", parameters

    def _finding(self, reader: Reader, given: Mapping[str, str]) -> tuple[str, ...]:
        """The columns of the index that finds the rows."""
        choices = [pair for pair in _PAIRS if given.keys() >= {*pair}] + [(column,) for column in given]
        if len(choices) < 2:
            return tuple(given)

        def rows(columns: tuple[str, ...]) -> int:
            same = " AND ".join(f"{column} = ?" for column in columns)
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {self.table} WHERE {same} LIMIT {_COUNTED})"  # noqa: S608
            [(found,)] = reader.rows(sql, [given[column] for column in columns])
            return int(found)

        return min(choices, key=rows)


def page(
    reader: Reader,
    select: str,
    filters: Filters,
    made: Callable[[tuple[Any, ...]], T],
    *,
    after: str | None,
    limit: int,
) -> Page[T]:
    """A page of a table that has ``created_at`` and ``row``, the newest first.

    Args:
        reader: of the file.
        select: ``SELECT … FROM …`` of the filters' table, whose first columns are ``created_at`` and ``row``.
        filters: what is wanted.
        made: what is answered for a row.
        after: the cursor of the page before.
        limit: how many, at most :data:`MOST`.

    Raises:
        cursors.BadCursor: if ``after`` is none.
        ValueError: if ``limit`` is too small or too large.
    """
    checked(limit)
    where, parameters = filters.sql(reader, None if after is None else cursors.read(after, tuple[int, int]))
    sql = f"{select}{where} ORDER BY created_at DESC, row DESC LIMIT ?"
    rows = reader.rows(sql, [*parameters, limit + 1])
    following = cursors.write(rows[limit - 1][:2]) if len(rows) > limit else None
    return Page(tuple(map(made, rows[:limit])), following)


def checked(limit: int) -> int:
    """``limit``.

    Raises:
        ValueError: if it is none for a page.
    """
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit is {limit}: 1 to {MOST} is allowed")
    return limit
