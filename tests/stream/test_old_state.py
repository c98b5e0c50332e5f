"""State that lay about too long is not trusted: tombstones of what was deleted meanwhile may be gone (DESIGN 3.8)."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamnotify.stream.data_dir import TRUSTED_FOR, discard_if_old, mark_alive
from streamnotify.stream.store import PartitionStore, SharedOptions


def used(data_dir: Path, ago: timedelta) -> None:
    """The directory holds state and was last in use so long ago."""
    (data_dir / "tables").mkdir()
    mark_alive(data_dir)
    then = time.time() - ago.total_seconds()
    os.utime(data_dir / "alive", (then, then))


def leave(database: Path, ago: timedelta) -> None:
    """Nothing has happened to a database for so long."""
    then = time.time() - ago.total_seconds()
    for file in database.iterdir():
        os.utime(file, (then, then))


@pytest.mark.parametrize(("ago", "kept"), [(TRUSTED_FOR * 0.99, True), (TRUSTED_FOR * 1.01, False)])
def test_a_directory_not_used_for_half_of_delete_retention_is_emptied(
    tmp_path: Path, ago: timedelta, kept: bool
) -> None:
    """It is then restored whole from the changelogs."""
    used(tmp_path, ago)
    assert discard_if_old(tmp_path) is not kept
    assert (tmp_path / "tables").exists() is kept
    assert tmp_path.is_dir()


@pytest.mark.parametrize(("ago", "kept"), [(TRUSTED_FOR * 0.99, True), (TRUSTED_FOR * 1.01, False)])
def test_a_partition_that_was_away_for_half_of_delete_retention_is_emptied_in_a_directory_that_is_in_use(
    tmp_path: Path, ago: timedelta, kept: bool
) -> None:
    """Another worker had it meanwhile: rows that were deleted there would be back, such as attempts that were made."""
    path = tmp_path / "deliveries-0.db"
    database = SharedOptions().open(path)
    database.put(b"open", b"1")
    database.close()
    leave(path, ago)
    assert (SharedOptions().open(path).get(b"open") is not None) is kept


def test_a_partition_that_is_ours_is_kept_however_little_happens_to_it(tmp_path: Path) -> None:
    path = tmp_path / "deliveries-0.db"
    database = SharedOptions().open(path)
    database.put(b"open", b"1")
    database.close()
    leave(path, TRUSTED_FOR * 2)
    data = SimpleNamespace(_dbs={}, partition_path=lambda number: path.with_name(f"deliveries-{number}.db"))
    PartitionStore(SimpleNamespace(data=data, changelog_topic_name="changelog"), 0).mark_alive()
    assert SharedOptions().open(path).get(b"open") == b"1"


def test_a_new_directory_is_left_alone(tmp_path: Path) -> None:
    """Nobody has used it yet."""
    assert not discard_if_old(tmp_path)


def test_half_of_delete_retention_is_three_and_a_half_days() -> None:
    """The changelogs keep tombstones for seven."""
    assert timedelta(days=3.5) == TRUSTED_FOR
