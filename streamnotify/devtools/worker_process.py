"""A worker as a child process that is ready for events, and ends when we do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from streamnotify import settings
from streamnotify.errors import StreamnotifyError

_HOST = "127.0.0.1"
_STOP_WITHIN_S = 40  # longer than the engine gives itself
_LOG_LINES = 30


class WorkerEnded(StreamnotifyError):
    """The worker has ended by itself."""


class WorkerProcess:
    """``streamnotify worker`` with exactly the settings given.

    Args:
        given: its settings by their names; where state is kept and health is answered is added.
        directory: its working directory, for state and log; there must be no ``.env`` in it.
        health_port: where it answers /readyz.
    """

    def __init__(self, given: Mapping[str, str], directory: Path, health_port: int) -> None:
        own = {
            "STREAMNOTIFY_DATA_DIR": str(directory / "state"),
            "STREAMNOTIFY_HEALTH_BIND": f"{_HOST}:{health_port}",
            "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
        }
        self._environment = settings.child_environment({**given, **own})
        self._directory = directory
        self._health_port = health_port
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1  # the write end of a pipe that nobody writes to: its end of file is our end
        self.log = directory / "worker.log"

    def start(self) -> None:
        """Start it."""
        alive, self._lifeline = os.pipe()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamnotify", "worker", f"--parent-fd={alive}"],
                cwd=self._directory,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[alive],
                process_group=0,  # Ctrl-C is for us; we then stop it in good order
            )
        os.close(alive)

    def wait_until_ready(self, within: timedelta) -> bool:
        """Wait until it takes events; False if it does not in time.

        Raises:
            WorkerEnded: if it has ended.
        """
        deadline = time.monotonic() + within.total_seconds()
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                with urllib.request.urlopen(f"http://{_HOST}:{self._health_port}/readyz", timeout=2):
                    return True
            except OSError:  # URLError is one
                time.sleep(0.1)
        return False

    def require_alive(self) -> None:
        """Check that it has not ended.

        Raises:
            WorkerEnded: with the end of its log.
        """
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            raise WorkerEnded(f"the worker ended with exit code {code}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def stop(self) -> None:
        """Stop it in good order, or by force if that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._lifeline)
        self._process = None
