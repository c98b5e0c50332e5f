"""Rows go when their topic no longer keeps what they were made of, so that the file does not grow for ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from streamnotify.web.read_model.instants import micros
from streamnotify.web.read_model.store import Store
from streamnotify.web.read_model.tables import TABLES, Table

_AT_ONCE = 5_000  # rows looked at in one transaction: what comes in waits meanwhile


def sweep(store: Store, now: datetime) -> Iterator[int]:
    """Remove what is too old at ``now``, little by little: each step is a transaction, and says how many rows it
    removed."""
    for table in TABLES.values():
        oldest = micros(now - table.kept)
        if table.latest is not None:
            yield _remove_deleted(store, table, oldest)
        else:
            yield from _remove_old(store, table, oldest)
    while store.shrink():
        yield 0


def _remove_deleted(store: Store, table: Table, oldest: int) -> int:
    """What was deleted is remembered only as long as an older record might come after."""
    with store.transaction() as connection:
        sql = f"DELETE FROM {table.names[0]} WHERE {table.latest} IS NULL AND seen < ?"  # noqa: S608 - names of ours
        return connection.execute(sql, (oldest,)).rowcount


def _remove_old(store: Store, table: Table, oldest: int) -> Iterator[int]:
    """Rows are walked over by when they began, which is never after their newest record."""
    place = (-(2**63), -(2**63))
    name = table.names[0]
    walk = (
        f"SELECT created_at, row, seen FROM {name} WHERE (created_at, row) > (?, ?) AND created_at < ? "  # noqa: S608
        "ORDER BY created_at, row LIMIT ?"
    )
    while True:
        with store.transaction() as connection:
            rows = connection.execute(walk, (*place, oldest, _AT_ONCE)).fetchall()
            old = [(row,) for _, row, seen in rows if seen < oldest]
            connection.executemany(f"DELETE FROM {name} WHERE row = ?", old)  # noqa: S608 - a name of ours
        yield len(old)
        if len(rows) < _AT_ONCE:
            return
        place = rows[-1][:2]
