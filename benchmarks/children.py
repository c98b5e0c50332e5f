"""The processes a benchmark starts, all of them ended with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from streamnotify.errors import StreamnotifyError

ROOT = Path(__file__).parents[1]
GRACE = 40.0  # seconds for a graceful end; the engine takes 30 at most
_OURS = ("STREAMNOTIFY_", "KAFKA_", "SMTP_", "FRONTEND_URL")


class BenchmarkFailed(StreamnotifyError):
    """A measurement could not be made."""


class Child:
    """A process, its log, and the file where it counts what it has applied.

    Args:
        name: unique within the stage.
        process: as started.
        log: what it prints.
        count_file: where it writes.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, count_file: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._count_file = count_file

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def cpu(self) -> float:
        """Seconds of CPU it has taken, all its threads together; 0 where the system does not tell."""
        return cpu_of(self.pid)

    def memory(self, what: str = "VmRSS") -> int:
        """Its memory in bytes: VmRSS what is resident now, VmHWM the most it ever was."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) * 1024
        raise BenchmarkFailed(f"this system does not tell {what}")

    def count(self) -> int:
        """The number it wrote last, 0 before."""
        try:
            return int(self._count_file.read_bytes() or b"0")
        except FileNotFoundError:
            return 0

    def require_alive(self) -> None:
        """Raises BenchmarkFailed with the end of its log if it has ended."""
        if self.process.poll() is not None:
            raise BenchmarkFailed(f"{self.name} ended with exit code {self.process.returncode}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def stop(self) -> None:
        """End it gracefully, at last by force."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()


class Children:
    """Starts processes that end with this block, or with this process if it is killed.

    Args:
        directory: for their logs and counts.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[Child] = []
        # We hold the write end and never write: a child reads the end of the file when we are gone.
        self.alive, self._lifeline = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
        for child in self._children:
            child.stop()
        os.close(self._lifeline)
        os.close(self.alive)

    def start(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """Start a process out of reach of Ctrl-C.

        In ``argv``, ``{alive}`` becomes the file descriptor that ends with us, ``{count}`` the file for its count.

        Args:
            name: unique within the stage.
            argv: the command.
            environment: added to ours, from which the settings of streamnotify are taken out.
        """
        count_file = self._directory / f"{name}.count"
        log = self._directory / f"{name}.log"
        told = [each.replace("{alive}", str(self.alive)).replace("{count}", str(count_file)) for each in argv]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        with log.open("ab") as output:
            process = subprocess.Popen(
                told,
                cwd=self._directory,  # where no .env is
                env={**inherited, "PYTHONPATH": str(ROOT), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[self.alive],
                process_group=0,
            )
        child = Child(name, process, log, count_file)
        self._children.append(child)
        return child


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has taken, all its threads together; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(directory: Path) -> int:
    """What the files below a directory take, in bytes."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # RocksDB removes files at any time
            total += path.stat().st_blocks * 512 if path.is_file() else 0
    return total


def remove(directory: Path) -> None:
    """Remove a directory with all it holds; nothing happens if it is not there."""
    shutil.rmtree(directory, ignore_errors=True)


def wait(seconds: float, began: float) -> bool:
    """Sleep a moment; False once ``seconds`` have passed since ``began`` (time.monotonic)."""
    time.sleep(0.05)
    return time.monotonic() - began < seconds
