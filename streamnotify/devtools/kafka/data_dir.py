"""A broker's directory: what lies where, who runs on it, and what is remembered over a stop."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamnotify.devtools.kafka.errors import AlreadyRunning, EmbeddedKafkaError

LOG_TAIL_LINES = 50
STOP_GRACE_S = 20.0
KILL_GRACE_S = 10.0
LOCK_PATIENCE_S = 2.0
POLL_INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class BrokerRecord:
    """What the directory remembers of its broker; ``pid`` is None from the start of a start to its process."""

    port: int
    controller_port: int
    pid: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, ``host:port``."""
        return f"127.0.0.1:{self.port}"


class DataDir:
    """The directory of one broker.

    A lock tells whether a broker runs on it: its process inherits the locked file, so the lock goes when the process
    does, however it ends. A process id alone could be that of a zombie or, later, of somebody else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "kafka.log"
        self.server_properties = self.path / "server.properties"
        self.meta_properties = self.path / "data" / "meta.properties"
        self._lock = self.path / "broker.lock"
        self._record = self.path / "broker.json"

    def lock(self) -> int:
        """Take the directory for a broker to be started and forget the last one's process id.

        Returns:
            The descriptor to hand to the broker's process and to close after.

        Raises:
            AlreadyRunning: if another broker has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        # is_running() takes the lock for a moment, so one refusal proves nothing.
        if not wait_until(lambda: _try_lock(descriptor, fcntl.LOCK_EX), LOCK_PATIENCE_S):
            os.close(descriptor)
            raise AlreadyRunning(f"a broker is already running on {self.path}")
        record = self.record()
        if record is not None:
            self.remember(dataclasses.replace(record, pid=None))
        return descriptor

    def is_running(self) -> bool:
        """Whether a broker's process is there, ready or not."""
        if not self._lock.exists():
            return False
        descriptor = os.open(self._lock, os.O_RDWR)
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def running(self) -> BrokerRecord | None:
        """The broker that runs on the directory, or None."""
        record = self.record()
        return record if record is not None and record.pid is not None and self.is_running() else None

    def record(self) -> BrokerRecord | None:
        """What is remembered of the last broker, running or not; None if there was none."""
        try:
            return BrokerRecord(**json.loads(self._record.read_bytes()))
        except FileNotFoundError:
            return None

    def remember(self, record: BrokerRecord) -> None:
        """Keep this about the broker, in one step: a reader sees the old or the new."""
        draft = self._record.with_suffix(".draft")
        draft.write_text(json.dumps(dataclasses.asdict(record)) + "\n")
        draft.replace(self._record)

    def cluster_id(self) -> str | None:
        """The id the directory was formatted with, or None if it was not."""
        if not self.meta_properties.exists():
            return None
        lines = self.meta_properties.read_text().splitlines()
        return next((line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id=")), None)

    def log_tail(self) -> str:
        """The last lines of the broker's log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def stop(self) -> bool:
        """Stop the broker: TERM, and KILL after 20 s. Its data stay. Returns whether one was running.

        Raises:
            EmbeddedKafkaError: if its process stays even so.
        """
        if not self.is_running():
            return False
        # A broker in its first moment has no recorded process yet.
        wait_until(lambda: self.running() is not None or not self.is_running(), LOCK_PATIENCE_S)
        self.signal(signal.SIGCONT)  # a paused process would not notice the next one
        self.signal(signal.SIGTERM)
        if not self.wait_for_end(STOP_GRACE_S):
            self.signal(signal.SIGKILL)
            if not self.wait_for_end(KILL_GRACE_S):
                raise EmbeddedKafkaError(f"the broker on {self.path} does not end; its record: {self.record()}")
        return True

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to the running broker's process; returns whether there was one."""
        running = self.running()
        if running is None or running.pid is None:
            return False
        try:
            os.kill(running.pid, number)
        except ProcessLookupError:  # it ended just now
            return False
        return True

    def wait_for_end(self, seconds: float) -> bool:
        """Wait until no broker runs on the directory; returns whether that came within ``seconds``."""
        return wait_until(lambda: not self.is_running(), seconds)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look every 50 ms until the condition holds or ``seconds`` have passed; returns whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
