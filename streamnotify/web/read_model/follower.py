"""Follows the topics in a thread of its own, and writes what they say into the file."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamnotify.errors import StreamnotifyError
from streamnotify.web.read_model.following import Following, Intervals
from streamnotify.web.read_model.source import Source
from streamnotify.web.read_model.store import Store
from streamnotify.wire.kafka_security import KafkaSecurity

logger = logging.getLogger(__name__)

_PAUSE = timedelta(seconds=2)  # before trying again what did not work


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Followed:
    """What is followed, and where to.

    Args:
        path: of the file.
        bootstrap_servers: ``host:port,...``.
        security: how we prove ourselves.
        prefix: of the topics' names.
    """

    path: Path
    bootstrap_servers: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    prefix: str = ""


class Follower:
    """Keeps the file up to date for the length of a block; what is in the way is logged once, and tried again.

    Of several processes with the same file one writes it; the next takes over when that one is gone. So one can be
    started before the other is stopped, and all of them can serve.

    Args:
        followed: what, and where to.
        clock: the time now, aware.
        intervals: how often what is done.
    """

    def __init__(
        self, followed: Followed, clock: Callable[[], datetime] = _now, intervals: Intervals | None = None
    ) -> None:
        self._followed = followed
        self._clock = clock
        self._intervals = intervals or Intervals()
        self._stopped = threading.Event()
        self._said: str | None = None
        self._thread = threading.Thread(target=self._run, name="read-model", daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)  # it may wait for Kafka; whatever it does, it can be killed

    def _run(self) -> None:
        path = self._followed.path
        while not self._stopped.is_set():
            try:
                with _sole_writer(path) as is_ours:
                    if is_ours:
                        self._follow()
                    else:
                        self._say(logging.INFO, f"another process writes {path}; this one only reads it")
            except (StreamnotifyError, OSError, sqlite3.Error) as error:
                self._say(logging.ERROR, str(error))
            except Exception:  # nobody would notice that a thread has ended
                logger.exception("Read model: this should not happen; it is tried again")
            self._stopped.wait(_PAUSE.total_seconds())

    def _follow(self) -> None:
        followed = self._followed
        _remove(old for old in _files(followed.path.parent) if not old.name.startswith(followed.path.name))
        try:
            with (
                Store(followed.path) as store,
                Source(followed.bootstrap_servers, followed.security, followed.prefix) as source,
            ):
                Following(store, source, self._clock, self._intervals, self._say).until(self._stopped)
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # its subclasses say that something else is wrong than the file
                logger.error("Read model: %s is broken (%s), and is made anew", followed.path, error)
                _remove(_files(followed.path.parent))
            raise

    def _say(self, level: int, what: str) -> None:
        """Once, until something else is to be said."""
        if what != self._said:
            logger.log(level, "Read model: %s", what)
        self._said = what


@contextmanager
def _sole_writer(path: Path) -> Iterator[bool]:
    """Whether no other process writes the file; none will within the block."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.parent / "read-model.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("read-model-*.sqlite3*"))


def _remove(files: Iterator[Path] | list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
