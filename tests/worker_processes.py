"""Workers as processes that tests start, kill, stop and listen to."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests import group_members

RECORDS_FLOW = b"records flow"  # what an engine logs when it is ready
ROOT = Path(__file__).parents[1]


class WorkerProcesses:
    """Numbered workers, each with a state directory and a log of its own.

    Args:
        bootstrap_servers: of their broker.
        group: the consumer group they are in.
        directory: for state and logs.
    """

    def __init__(self, bootstrap_servers: str, group: str, directory: Path) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.group = group
        self.directory = directory
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self._log_starts: dict[int, int] = {}  # where the latest start's part of a worker's log begins

    def spawn(self, worker: int, argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a worker; what it prints is added to its log."""
        self._log_starts[worker] = self.log(worker).stat().st_size if self.log(worker).exists() else 0
        with self.log(worker).open("ab") as log:
            self.workers[worker] = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=env)
        return self.workers[worker]

    def data_dir(self, worker: int) -> Path:
        """Where a worker keeps its state."""
        return self.directory / f"state-{worker}"

    def log(self, worker: int) -> Path:
        """What a worker printed."""
        return self.directory / f"worker-{worker}.log"

    def kill(self, worker: int, *, lose_state: bool = False) -> None:
        """kill -9, perhaps with the state directory deleted."""
        self.workers[worker].kill()
        self.workers[worker].wait()
        if lose_state:
            shutil.rmtree(self.data_dir(worker), ignore_errors=True)

    def kill_the_only_one(self, worker: int, *, lose_state: bool = False) -> None:
        """The same where no other runs. The group knows at once: for tests of what comes after the session time-out."""
        self.kill(worker, lose_state=lose_state)
        group_members.forget_the_only_one(self.bootstrap_servers, self.group)

    def stop(self, worker: int) -> int:
        """Stop gracefully; the exit code."""
        self.workers[worker].send_signal(signal.SIGTERM)
        return self.workers[worker].wait(60)

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120, pause: float = 0.3) -> None:
        """Wait until a condition holds, failing after so many seconds with the workers' last words."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                tails = "\n".join(
                    f"--- worker {number} ({worker.poll()})\n{self.log(number).read_text(errors='replace')[-3000:]}"
                    for number, worker in self.workers.items()
                )
                raise AssertionError(f"did not come true within {seconds} s\n{tails}")
            time.sleep(pause)

    def wait_until_running(self, worker: int, seconds: float = 120) -> None:
        """Wait until the records of a worker's latest start flow."""
        start = self._log_starts[worker]
        self.wait_for(lambda: RECORDS_FLOW in self.log(worker).read_bytes()[start:], seconds)
