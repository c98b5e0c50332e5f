"""A read model's file, records for it, and all that is in it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.store import Place, Store
from streamnotify.web.read_model.tables import TABLES

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
IDS = dict.fromkeys(TABLES, "the first one")


def record(
    topic: str,
    value: Mapping[str, Any] | bytes | None,
    *,
    offset: int = 0,
    partition: int = 0,
    key: str | None = None,
    at: datetime = NOON,
    headers: Mapping[str, str] | None = None,
) -> RawRecord:
    """A record as it lies in the log."""
    named = [(name, text.encode()) for name, text in (headers or {}).items()]
    content = json.dumps(value).encode() if isinstance(value, Mapping) else value
    milliseconds = int(at.timestamp() * 1000)
    return RawRecord(topic, partition, offset, milliseconds, None if key is None else key.encode(), content, named)


def step(status: str, offset: int = 0, name: str = "n1", **fields: Any) -> RawRecord:
    """A record of notification-status, ``offset`` seconds after noon."""
    at = NOON + timedelta(seconds=offset)
    said = {"notification_id": name, "status": status, "at": at.isoformat()} | fields
    return record("notification-status", said, offset=offset, at=at)


def event(status: str, offset: int = 0, task_id: str = "r1", **fields: Any) -> RawRecord:
    """A record of task-events, ``offset`` seconds after noon."""
    at = NOON + timedelta(seconds=offset)
    said = {"task_name": "nightly", "task_id": task_id, "status": status} | fields
    return record("task-events", said, offset=offset, at=at)


def positions_behind(records: Iterable[RawRecord]) -> dict[Place, int]:
    """The first offset behind the records, of each partition they are of."""
    found: dict[Place, int] = {}
    for each in records:
        place = each.topic, each.partition
        found[place] = max(each.offset + 1, found.get(place, 0))
    return found


def write(path: Path, records: Iterable[RawRecord], *, now: datetime = NOON + timedelta(days=1)) -> Path:
    """Take in records, in one batch."""
    batch = list(records)
    with Store(path) as store:
        store.follow(IDS)
        store.write(batch, positions_behind(batch), now)
    return path


def rows(path: Path) -> dict[str, list[Any]]:
    """All rows of all tables that are made of records, whatever their order in the file."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table in (name for each in TABLES.values() for name in each.names):
            read = connection.execute(f"SELECT * FROM {table}")
            columns = [[(name, row[name]) for name in row.keys() if name != "row"] for row in read]  # noqa: SIM118
            found[table] = sorted(columns, key=repr)
    return found
