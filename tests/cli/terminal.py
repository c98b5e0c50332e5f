"""A pseudo-terminal with somebody at its keyboard."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

TIMEOUT_S = 20


class Terminal:
    """Runs a command as the leader of a session of its own, with all its streams on a terminal.

    Args:
        command: its name and arguments.
        env: its environment.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.shown = b""
        self._has_ended = False
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(command[0], list(command), dict(env))
            finally:
                os._exit(127)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        if not self._has_ended:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def press(self, keys: bytes) -> None:
        """Press keys; control ones as their codes."""
        os.write(self._master, keys)

    def read_until(self, pattern: bytes) -> None:
        """Read what is shown until it matches, from what was matched before on."""
        deadline = time.monotonic() + TIMEOUT_S
        begin = len(self.shown)
        while not re.search(pattern, self.shown[begin:]):
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, self.shown
            try:
                read = os.read(self._master, 1)
            except OSError:  # how Linux says that nobody has the other end
                read = b""
            assert read, self.shown
            self.shown += read

    def hang_up(self) -> None:
        """Close our end of the line."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def status(self) -> int:
        """Wait for the end of the command; its wait status."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._has_ended = True
                return status
            time.sleep(0.01)
        raise AssertionError(self.shown)
