"""Each worker's own directory for its state: the first ``worker-N`` that no other process has locked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def locked_data_dir(root: Path) -> Iterator[Path]:
    """Lock the first free ``worker-N`` below ``root`` and give its path; free it at the end, also of a killed process.

    The lock lies beside the directory, so that it survives the directory's being deleted under us.

    Raises:
        OSError: if ``root`` cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    for number in count():
        lock = os.open(root / f"worker-{number}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path = root / f"worker-{number}"
            path.mkdir(exist_ok=True)
            yield path
            return
        finally:
            os.close(lock)
