"""Rows go when their topic no longer keeps what they were made of, and the room they took is given back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.web.read_model.retention import sweep
from streamnotify.web.read_model.store import Store
from streamnotify.wire.topic_layout import EVENT_RETENTION, OUTPUT_RETENTION, TOMBSTONE_RETENTION
from tests.web.read_model.a_file import NOON, event, record, rows, step, write

HOUR = timedelta(hours=1)


def swept(path: Path, at: datetime) -> dict[str, list[Any]]:
    """What is left at a time."""
    with Store(path) as store:
        for _ in sweep(store, at):
            pass
    return rows(path)


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ("runs", EVENT_RETENTION),
        ("notifications", OUTPUT_RETENTION),
        ("monitor_results", OUTPUT_RETENTION),
        ("dead_letters", OUTPUT_RETENTION),
    ],
)
def test_a_row_is_kept_as_long_as_its_topic_keeps_its_newest_record(
    tmp_path: Path, table: str, kept: timedelta
) -> None:
    at = NOON.isoformat()
    check = {"monitor": "m", "task_name": "t", "verdict": "ok", "check_time": at, "evaluated_at": at}
    first = [step("accepted"), event("Running"), record("monitor-results", check), record("dead-letters", b"")]
    path = write(tmp_path / "x.sqlite3", first)
    assert len(swept(path, NOON + kept)[table]) == 1
    assert swept(path, NOON + kept + HOUR)[table] == []


def test_what_began_long_ago_is_kept_while_there_is_anything_new_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [step("accepted"), step("sent", 20 * 86_400)], now=NOON + 40 * 24 * HOUR)
    assert len(swept(path, NOON + OUTPUT_RETENTION + HOUR)["notifications"]) == 1
    assert swept(path, NOON + timedelta(days=20) + OUTPUT_RETENTION + HOUR)["notifications"] == []


def test_what_is_the_latest_of_its_key_stays_and_what_was_deleted_is_forgotten(tmp_path: Path) -> None:
    people = [record("users", {"user_id": "u1"}, key="u1"), record("users", None, offset=1, key="u2")]
    path = write(tmp_path / "x.sqlite3", people)
    assert len(swept(path, NOON + TOMBSTONE_RETENTION)["users"]) == 2
    [left] = swept(path, NOON + 100 * TOMBSTONE_RETENTION)["users"]
    assert dict(left)["user_id"] == "u1"


def test_very_much_goes_little_by_little_and_the_file_shrinks(tmp_path: Path) -> None:
    many = [step("sent", name=f"n{number}", subject="x" * 300)._replace(offset=number) for number in range(24_000)]
    path = write(tmp_path / "x.sqlite3", many)
    size = path.stat().st_size
    with Store(path) as store:
        removed = list(sweep(store, NOON + OUTPUT_RETENTION + HOUR))
    assert max(removed) <= 5_000
    assert sum(removed) == 24_000
    assert path.stat().st_size < size / 2
