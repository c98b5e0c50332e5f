"""How the records of each topic become rows: the same rows whatever the order and repetition of the records."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from streamnotify.domain.monitors import Monitor
from streamnotify.domain.runs import Facts, join
from streamnotify.web.read_model import notification_rows, records, run_rows
from streamnotify.web.read_model.instants import instant, micros
from streamnotify.web.read_model.notification_rows import StoredStep
from streamnotify.web.read_model.records import UNUSABLE, RawRecord
from streamnotify.wire import topics
from streamnotify.wire.monitor_config import to_record
from streamnotify.wire.topic_layout import EVENT_RETENTION, OUTPUT_RETENTION, TOMBSTONE_RETENTION

T = TypeVar("T")

_LARGEST_RUN = 1024 * 1024  # bytes; a run that is told of in so many ways is left as it is
_encode = msgspec.msgpack.Encoder().encode

_NOTIFICATION = """
    INSERT INTO notifications (notification_id, created_at, status, kind, task_name, task_id, monitor, address, user_id,
        organization_id, digest_id, seen, steps)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (notification_id) DO UPDATE SET created_at = excluded.created_at, status = excluded.status,
        kind = excluded.kind, task_name = excluded.task_name, task_id = excluded.task_id, monitor = excluded.monitor,
        address = excluded.address, user_id = excluded.user_id, organization_id = excluded.organization_id,
        digest_id = excluded.digest_id, seen = excluded.seen, steps = excluded.steps
"""
_RUN = """
    INSERT INTO runs (task_id, task_name, created_at, status, organization_id, user_id, presumed_end_at, seen, facts)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (task_id, task_name) DO UPDATE SET created_at = excluded.created_at, status = excluded.status,
        organization_id = excluded.organization_id, user_id = excluded.user_id,
        presumed_end_at = excluded.presumed_end_at, seen = excluded.seen, facts = excluded.facts
"""
_RESULT = """
    INSERT INTO monitor_results (identity, created_at, monitor, task_name, verdict, organization_id, seen, result)
    VALUES (?1, ?2, ?3, ?4, ?5, (SELECT organization_id FROM monitor_tasks WHERE monitor = ?3 AND task_name = ?4), ?6,
        ?7)
    ON CONFLICT (identity) DO UPDATE SET seen = excluded.seen, created_at = excluded.created_at
    WHERE excluded.seen < seen
"""
_LETTER = """
    INSERT INTO dead_letters (identity, partition, place, created_at, topic, stage, organization_id, seen, letter)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (identity) DO UPDATE SET partition = excluded.partition, place = excluded.place,
        created_at = excluded.created_at, seen = excluded.seen, letter = excluded.letter
    WHERE (excluded.place, excluded.partition) < (place, partition)
"""
_USER = """
    INSERT INTO users (user_id, place, seen, address, profile) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (user_id) DO UPDATE SET place = excluded.place, seen = excluded.seen, address = excluded.address,
        profile = excluded.profile
    WHERE excluded.place > place
"""
_PREFERENCES = """
    INSERT INTO preferences (key, mailbox, place, seen, said) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET place = excluded.place, seen = excluded.seen, said = excluded.said
    WHERE excluded.place > place
"""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows made of one topic.

    Args:
        topic: its logical name.
        names: the tables; ``names[0]`` has the rows that go after ``kept``.
        kept: for how long after its newest record a row is kept: as long as the topic keeps that.
        latest: whether it has one row for each key, which is kept until some time after the key was deleted.
        write: put records into the rows; the third argument is the time now, in microseconds.
    """

    topic: str
    names: tuple[str, ...]
    kept: timedelta
    write: Callable[[sqlite3.Connection, Sequence[RawRecord], int], None]
    latest: str | None = None


def seen_at(record: RawRecord, now: int) -> int:
    """When a record was published, as far as one can believe it: not in the future."""
    return min(record.timestamp * 1000, now) if record.timestamp >= 0 else now


def _write_notifications(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    new: dict[str, tuple[list[StoredStep], int]] = {}
    for record, (name, step) in _usable(batch, records.step_in):
        steps, seen = new.get(name) or ([], 0)
        steps.append(step)
        new[name] = steps, max(seen, seen_at(record, now))
    known = "SELECT seen, steps FROM notifications WHERE notification_id = ?"
    rows = []
    for name, (steps, published) in new.items():
        before = connection.execute(known, (name,)).fetchone() or (0, None)
        kept = notification_rows.merged(before[1], steps)
        seen = max(published, before[0])
        created_at, *columns = notification_rows.columns(name, kept)
        rows.append((name, min(created_at, seen), *columns, seen, notification_rows.encoded(kept)))
    connection.executemany(_NOTIFICATION, rows)


def _write_runs(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    new: dict[tuple[str, str], tuple[Facts, int]] = {}
    for record, update in _usable(batch, records.update_in):
        key, seen = (update.task_id, update.task_name), seen_at(record, now)
        other = new.get(key)
        new[key] = (update.facts, seen) if other is None else (join(other[0], update.facts), max(seen, other[1]))
    known = "SELECT seen, facts FROM runs WHERE task_id = ? AND task_name = ?"
    rows = []
    for key, (facts, published) in new.items():
        before = connection.execute(known, key).fetchone() or (0, None)
        rows.append(_run_row(*key, run_rows.merged(before[1], facts), max(published, before[0])))
    connection.executemany(_RUN, [row for row in rows if len(row[-1]) <= _LARGEST_RUN])


def end_lost_runs(connection: sqlite3.Connection, now: int) -> None:
    """Runs whose workers were lost have stopped if no successor has come by ``now`` (SPEC section 3).

    To be called only when all records there are have been taken in: a successor's may be among them.
    """
    lost = "SELECT task_id, task_name, seen, facts FROM runs WHERE presumed_end_at <= ? LIMIT 1000"
    connection.executemany(
        _RUN,
        [
            _run_row(task_id, task_name, run_rows.after_its_worker_was_lost(task_name, task_id, facts), seen)
            for task_id, task_name, seen, facts in connection.execute(lost, (now,)).fetchall()
        ],
    )


def _run_row(task_id: str, task_name: str, facts: Facts, seen: int) -> tuple[Any, ...]:
    return task_id, task_name, *run_rows.columns(facts, seen), seen, run_rows.encoded(facts)


def _write_results(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    rows = []
    for record, result in _usable(batch, records.result_in):
        seen = seen_at(record, now)
        created_at = min(micros(result.check_time), seen)
        identity = records.identity_of(record)
        rows.append((identity, created_at, result.monitor, result.task_name, result.verdict, seen, _encode(result)))
    connection.executemany(_RESULT, rows)


def _write_letters(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    rows = []
    for record in batch:
        seen = seen_at(record, now)
        letter = records.letter_in(record, instant(seen))
        created_at = min(micros(letter.failed_at), seen)
        whose = (letter.topic, letter.stage, letter.organization_id)
        identity = records.identity_of(record)
        rows.append((identity, record.partition, record.offset, created_at, *whose, seen, _encode(letter)))
    connection.executemany(_LETTER, rows)


def _write_monitors(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    for record, (name, monitor) in _usable(batch, records.monitor_in):
        before = connection.execute("SELECT place FROM monitors WHERE name = ?", (name,)).fetchone()
        if before is None or before[0] < record.offset:
            _put_monitor(connection, name, monitor, record.offset, seen_at(record, now))


def _put_monitor(connection: sqlite3.Connection, name: str, monitor: Monitor | None, place: int, seen: int) -> None:
    said = None if monitor is None else json.dumps(to_record(monitor))
    connection.execute("INSERT OR REPLACE INTO monitors VALUES (?, ?, ?, ?)", (name, place, seen, said))
    known = connection.execute("SELECT task_name, organization_id FROM monitor_tasks WHERE monitor = ?", (name,))
    before = dict(known.fetchall())
    after = {task: check.organization_id for task, check in monitor.tasks.items()} if monitor is not None else {}
    if before == after:
        return
    connection.execute("DELETE FROM monitor_tasks WHERE monitor = ?", (name,))
    connection.executemany("INSERT INTO monitor_tasks VALUES (?, ?, ?)", [(name, *each) for each in after.items()])
    connection.executemany(
        "UPDATE monitor_results SET organization_id = ? WHERE monitor = ? AND task_name = ?",
        [(after.get(task), name, task) for task in before.keys() | after.keys() if before.get(task) != after.get(task)],
    )


def _write_users(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    rows = []
    for record, (user_id, profile) in _usable(batch, records.user_in):
        address = profile.email.lower() if profile is not None and profile.email is not None else None
        data = None if profile is None else _encode(profile)
        rows.append((user_id, record.offset, seen_at(record, now), address, data))
    connection.executemany(_USER, rows)


def _write_preferences(connection: sqlite3.Connection, batch: Sequence[RawRecord], now: int) -> None:
    rows = []
    for record, (key, preferences, revision) in _usable(batch, records.preferences_in):
        said = None if preferences is None else _encode((preferences, revision))
        rows.append((key, records.mailbox_of_key(key), record.offset, seen_at(record, now), said))
    connection.executemany(_PREFERENCES, rows)


def _usable(batch: Iterable[RawRecord], read: Callable[[RawRecord], T]) -> Iterator[tuple[RawRecord, T]]:
    """The records that say anything, each with what it says."""
    for record in batch:
        try:
            said: Any = read(record)
        except UNUSABLE:
            continue
        yield record, said


TABLES = {
    table.topic: table
    for table in (
        Table(
            topics.MONITOR_CONFIGS.name, ("monitors", "monitor_tasks"), TOMBSTONE_RETENTION, _write_monitors, "record"
        ),
        Table(topics.USERS.name, ("users",), TOMBSTONE_RETENTION, _write_users, "profile"),
        Table(topics.USER_PREFERENCES.name, ("preferences",), TOMBSTONE_RETENTION, _write_preferences, "said"),
        Table(topics.TASK_EVENTS.name, ("runs",), EVENT_RETENTION, _write_runs),
        Table(topics.NOTIFICATION_STATUS.name, ("notifications",), OUTPUT_RETENTION, _write_notifications),
        Table(topics.MONITOR_RESULTS.name, ("monitor_results",), OUTPUT_RETENTION, _write_results),
        Table(topics.DEAD_LETTERS.name, ("dead_letters",), OUTPUT_RETENTION, _write_letters),
    )
}
