"""``streamnotify web`` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from streamnotify import settings
from tests.web.browsing import SECRET

PUBLIC_URL = "http://127.0.0.1/mails"
ENVIRONMENT = {
    "STREAMNOTIFY_PUBLIC_URL": PUBLIC_URL,
    "STREAMNOTIFY_SECRET": SECRET,
    "STREAMNOTIFY_HTTP_BIND": "127.0.0.1:0",
}  # with pages for recipients


class WebProcess:
    """``streamnotify web``, and what it logs."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self._log = directory / "web.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamnotify", "web"],
                cwd=directory,
                env=settings.child_environment({"PYTHONPATH": os.pathsep.join(sys.path), **environment}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def origin(self) -> str:
        """Where it listens, once it does."""
        until = time.monotonic() + 60
        while not (said := re.search(r"Pages on (http://\S+)", self.log)):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.05)
        return said[1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Stop it; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(60)
