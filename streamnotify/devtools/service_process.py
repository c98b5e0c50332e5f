"""A service of ours as a child process: it answers when it is ready, and ends when we do."""

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

_STOP_WITHIN_S = 40  # longer than the engine gives itself
_LOG_LINES = 30


class ServiceEnded(StreamnotifyError):
    """A service has ended by itself."""


def environment_of(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command of ours that has exactly these settings, and finds what this process found."""
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)
    return settings.child_environment({**given, "PYTHONPATH": path})


class ServiceProcess:
    """``streamnotify <command>`` with exactly the settings given.

    Args:
        command: ``worker`` or ``web``.
        given: its settings by their names.
        directory: its working directory, where its log is; there must be no ``.env`` in it.
        ready_url: answers with 200 when it is ready.
    """

    def __init__(self, command: str, given: Mapping[str, str], directory: Path, ready_url: str) -> None:
        self._environment = environment_of(given)
        self._directory = directory
        self._ready_url = ready_url
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1  # the write end of a pipe that nobody writes to: its end of file is our end
        self.command = command
        self.log = directory / f"{command}.log"

    def start(self) -> None:
        """Start it."""
        alive, self._lifeline = os.pipe()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamnotify", self.command, f"--parent-fd={alive}"],
                cwd=self._directory,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[alive],
                process_group=0,  # Ctrl-C is for us; we then stop it in good order
            )
        os.close(alive)

    def wait_until_ready(self, within: timedelta) -> bool:
        """Wait until it is at work; False if it is not in time.

        Raises:
            ServiceEnded: if it has ended.
        """
        deadline = time.monotonic() + within.total_seconds()
        while time.monotonic() < deadline:
            self.require_alive()
            try:
                with urllib.request.urlopen(self._ready_url, timeout=2):  # noqa: S310 - our own, on this machine
                    return True
            except OSError:  # URLError is one
                time.sleep(0.1)
        return False

    def require_alive(self) -> None:
        """Check that it has not ended.

        Raises:
            ServiceEnded: with the end of its log.
        """
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            raise ServiceEnded(f"`streamnotify {self.command}` ended with exit code {code}:\n{self.log_tail()}")

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
