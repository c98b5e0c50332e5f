"""The run that this thread, task or greenlet is working on, so that code inside a task need not name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """What events about a run must repeat.

    Args:
        attempt: counted from 1.
    """

    task_name: str
    task_id: str
    attempt: int = 1
    organization_id: str | None = None
    user_id: str | None = None


_current: ContextVar[CurrentRun | None] = ContextVar("streamnotify_run", default=None)


def current_run() -> CurrentRun | None:
    """The run under way here, if any."""
    return _current.get()


def set_current_run(run: CurrentRun | None) -> None:
    """Say which run is under way from here on; None: none. For hooks that come in pairs, such as Celery's signals."""
    _current.set(run)


@contextmanager
def running(run: CurrentRun) -> Iterator[None]:
    """Make ``run`` the current one within a block."""
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)
