"""Each worker's own directory for its state: the first ``worker-N`` that no other process has locked.

State that was left alone for long is not trusted: deleted rows leave tombstones in the changelog, and those are
compacted away after a while (DESIGN 3.8).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

from streamnotify.errors import EngineFailure, SettingsError
from streamnotify.wire.topic_layout import TOMBSTONE_RETENTION

logger = logging.getLogger(__name__)

TRUSTED_FOR = TOMBSTONE_RETENTION / 2
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_CURRENT = "CURRENT"  # a file of every RocksDB database
ALIVE = "alive"  # a file whose modification time says when a worker last used the directory


@contextmanager
def locked_data_dir(root: Path) -> Iterator[Path]:
    """Lock the first free ``worker-N`` below ``root`` and give its path; free it at the end, also of a killed process.

    The lock lies beside the directory, so that it survives the directory's being deleted under us.

    Raises:
        SettingsError: if ``root`` is no directory that can be written.
        EngineFailure: if there is no room for it, which may change.
    """
    try:
        lock, path = _lock_first_free(root)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise EngineFailure(f"no room for state in {root}: {error.strerror}") from error
        allowed = "a directory that can be made and written is allowed"
        raise SettingsError(f"STREAMNOTIFY_DATA_DIR is {str(root)!r}: {allowed} ({error.strerror})") from error
    try:
        yield path
    finally:
        os.close(lock)


def _lock_first_free(root: Path) -> tuple[int, Path]:
    root.mkdir(parents=True, exist_ok=True)
    for number in count():
        path = root / f"worker-{number}"
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.mkdir(exist_ok=True)
        except BlockingIOError:
            os.close(lock)
            continue
        return lock, path
    raise AssertionError  # count() has no end


def mark_alive(data_dir: Path) -> None:
    """The directory is in use now; called every so often."""
    (data_dir / ALIVE).touch()


def discard_if_old(data_dir: Path, trusted_for: timedelta = TRUSTED_FOR) -> bool:
    """Empty a directory that was not in use for longer than its state can be trusted; it is then restored whole.

    Returns:
        whether it was emptied.
    """
    alive = data_dir / ALIVE
    if not alive.exists() or _age(alive) < trusted_for:
        return False
    _discard(data_dir, trusted_for)
    data_dir.mkdir()
    return True


def mark_database_alive(path: Path) -> None:
    """The partition whose database this is is ours now; called every so often."""
    (path / _CURRENT).touch()


def discard_database_if_old(path: Path, trusted_for: timedelta = TRUSTED_FOR) -> None:
    """Remove the database of a partition that has not been ours for so long, before it is opened."""
    if path.is_dir() and all(_age(file) >= trusted_for for file in path.iterdir()):
        _discard(path, trusted_for)


def _age(path: Path) -> timedelta:
    return timedelta(seconds=time.time() - path.stat().st_mtime)


def _discard(path: Path, trusted_for: timedelta) -> None:
    logger.warning("state in %s is older than %s and is rebuilt from the changelogs", path, trusted_for)
    shutil.rmtree(path)
