"""Final events that Kafka did not take, in files until it does (research/celery-sdk.md K6).

A process writes ``<host>-<pid>.jsonl`` in the spool directory, one JSON object per event, and holds a lock on it as
long as it may write more. A file that nobody holds is anybody's to replay: its process released it, or died.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamnotify.sdk.counters import logger

SPOOL_BYTES = 64 * 1024 * 1024  # of all files in the directory
_NAME = re.compile(r"(?P<host>.+)-(?P<pid>[0-9]+)(\.[0-9]+)?\.jsonl")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_MOST_FILES = 100  # of one process: a second one only while the first is being replayed


class SpooledEvent(msgspec.Struct, frozen=True):
    """An event as it was to go to Kafka, with the id it had."""

    topic: str
    key: str | None
    value: str


class SpooledLine(NamedTuple):
    """A line of a file: where it begins, its bytes, and the event in it, or None if it is none."""

    offset: int
    line: bytes
    event: SpooledEvent | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SpooledEvent).decode
_held: set[int] = set()  # descriptors


class SpoolFile:
    """A file that is ours alone, until closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        _held.add(descriptor)

    @classmethod
    def claim(cls, path: Path, *, create: bool = False) -> SpoolFile | None:
        """The file, if nobody else has it and it is (still) there.

        Raises:
            OSError: if it cannot be used.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):  # else it was replayed and removed meanwhile
                return cls(path, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def append(self, line: bytes) -> None:
        """Write an event's line by a single write, so that it is there whole or not at all.

        Raises:
            OSError: if the disk does not take it.
        """
        size = os.fstat(self._descriptor).st_size
        is_torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"  # by a power cut
        line = b"\n" * is_torn + line
        if os.write(self._descriptor, line) != len(line):
            os.ftruncate(self._descriptor, size)
            raise OSError(f"{self.path}: no room")

    def keep_only(self, offsets: Collection[int]) -> None:
        """Leave nothing but the lines that begin at ``offsets``; without any the file is removed.

        At every moment the file is there as it was or as it will be. What is left is nobody's yet: close this one.

        Raises:
            OSError: if the disk does not take it; the file is as it was.
        """
        if offsets:
            wanted = set(offsets)
            unfinished = self.path.with_suffix(".part")
            unfinished.unlink(missing_ok=True)  # somebody else's link may lead anywhere
            with open(unfinished, "xb", opener=private) as kept:
                kept.writelines(line.line for line in spooled_lines(self.path) if line.offset in wanted)
                kept.flush()
                os.fsync(kept.fileno())
            unfinished.replace(self.path)
        else:
            self.path.unlink()

    def close(self) -> None:
        """Let others have it."""
        _held.discard(self._descriptor)
        os.close(self._descriptor)


class Spool:
    """This process's place in a spool directory; may be used from several threads.

    Args:
        directory: made at the first event, for this user alone.
        host, pid: this process's.
        most: bytes the directory may take.
    """

    def __init__(self, directory: Path, host: str, pid: int, *, most: int = SPOOL_BYTES) -> None:
        self.directory = directory
        self.host = name_of_host(host)
        self._pid = pid
        self._most = most
        self._lock = threading.RLock()
        self._file: SpoolFile | None = None
        self._bytes = 0
        self._problem_was_told = False

    def append(self, topic: str, key: bytes | None, value: bytes) -> bool:
        """Keep an event; False if there is no room for it, which is logged once."""
        line = _encode(SpooledEvent(topic, None if key is None else key.decode(), value.decode())) + b"\n"
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._open()
                if self._bytes + len(line) > self._most:
                    raise OSError(f"{self.directory} holds {self._bytes} bytes, and at most {self._most} are allowed")
                self._file.append(line)
                self._bytes += len(line)
                return True
        except OSError as error:
            if not self._problem_was_told:
                self._problem_was_told = True
                logger.error("Final task events are lost that Kafka did not take: the spool has no room: %s", error)
            return False

    def release(self) -> None:
        """Let what was written so far be replayed, by us or another; the next event goes where there is room."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> SpoolFile:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_MOST_FILES):
            more = f".{number}" if number else ""
            path = self.directory / f"{self.host}-{self._pid}{more}.jsonl"
            file = SpoolFile.claim(path, create=True)
            if file is not None:
                self._bytes = sum(_facts(path)[1] for path in spool_files(self.directory))
                return file
        raise OSError(f"{self.directory} has {_MOST_FILES} files of this process")


def spool_files(directory: Path, host: str | None = None) -> list[Path]:
    """The files in a spool directory, oldest first; only of one host if it is given (as :func:`name_of_host`).

    Links, pipes and directories are none of ours, whatever their names.
    """
    names = ((path, _NAME.fullmatch(path.name)) for path in directory.glob("*.jsonl"))
    found = [path for path, name in names if name and host in {None, name["host"]} and _is_file(path)]
    return sorted(found, key=lambda path: (_facts(path)[0], path.name))


def spooled_lines(path: Path) -> Iterator[SpooledLine]:
    """What is in a file, in order.

    Raises:
        OSError: if it cannot be read.
    """
    offset = 0
    with path.open("rb") as lines:
        for line in lines:
            yield SpooledLine(offset, line, _event(line))
            offset += len(line)


def owner_of(path: Path) -> tuple[str, int]:
    """The host and the process id that a file of :func:`spool_files` is named after."""
    name = _NAME.fullmatch(path.name)
    assert name is not None
    return name["host"], int(name["pid"])


def name_of_host(host: str) -> str:
    """A host as it stands in the names of its files."""
    return _NOT_IN_NAMES.sub("_", host)[:100] or "_"


def _event(line: bytes) -> SpooledEvent | None:
    try:
        return _decode(line)
    except msgspec.MsgspecError:
        return None


def private(path: str, flags: int) -> int:
    """An opener for files that only this user may read, and that lie where their path says."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _facts(path: Path) -> tuple[float, int]:
    """When it was changed and its bytes; zeros if it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0.0, 0
    return status.st_mtime, status.st_size


def _forked() -> None:
    """In a child: close what its parent holds, else the lock would outlive the parent."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forked)
