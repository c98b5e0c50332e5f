"""Jobs for RQ's workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from rq import Retry

from streamnotify import sdk
from streamnotify.adapters.rq import NotifyingSimpleWorker


class Refusing(sdk.Publisher):
    """Breaks what no publisher of ours does."""

    def publish(self, event: sdk.TaskEvent) -> bool:
        raise RuntimeError("no event today")

    def flush(self, seconds: float | None = None) -> int:
        raise RuntimeError("nor a flush")


class RefusedWorker(NotifyingSimpleWorker):
    """A worker whose events cannot be published."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sdk.set_default_publisher(Refusing())


def succeed(seconds: float = 0) -> dict[str, Any]:
    """Say half-way how far it is."""
    time.sleep(seconds)
    sdk.progress(50, "half of it")
    return {"total_tests": 10, "status": "mine", "nothing": None}


def fail(message: str = "no such ingestor") -> None:
    """Fail, always."""
    raise ValueError(message)


def fail_at_first(seen: str) -> str:
    """Fail unless the file is there, and make it.

    Args:
        seen: its path.
    """
    if Path(seen).exists():
        return "well"
    Path(seen).touch()
    raise ValueError("not yet")


def kill_itself() -> None:
    """As the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def ask_for_a_retry(times: int) -> Retry:
    """Return a wish."""
    return Retry(max=times)


def run_on(started: str) -> None:
    """Make a file of that path, and run until somebody stops it."""
    Path(started).touch()
    time.sleep(600)
