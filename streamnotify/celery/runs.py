"""What this process knows of attempts under way, by (task id, attempt): never by the task object (P5)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from celery.app.task import Context as Request

from streamnotify.sdk.current import CurrentRun


class Begun(NamedTuple):
    """An attempt that this process runs.

    Args:
        at: when it began.
        clock: the same in seconds of the monotonic clock.
        around: the run this one began within, as an eager task does.
    """

    at: datetime
    clock: float
    around: CurrentRun | None


class Times(NamedTuple):
    """When an attempt began, and how long it ran, in seconds."""

    started_at: datetime | None = None
    duration_s: float | None = None


class Runs:
    """The clocks of attempts in the process that runs them, and the requests in the one that receives them.

    With the pools ``threads``, ``gevent`` and ``solo`` that is one process.
    """

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], Begun] = {}
        # The worker's own objects, so this holds at most what it has prefetched (C5).
        self._received: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def begin(self, task_id: str, attempt: int, now: datetime, around: CurrentRun | None) -> None:
        """Note that an attempt begins here."""
        self._begun[task_id, attempt] = Begun(now, time.monotonic(), around)

    def end(self, task_id: str, attempt: int) -> Begun | None:
        """Forget it again; returns what was known."""
        return self._begun.pop((task_id, attempt), None)

    def times(self, task_id: str, attempt: int, now: datetime) -> Times:
        """Of an attempt that ends now; from the main process's wall clock if it ran in a child that was lost."""
        begun = self._begun.get((task_id, attempt))
        if begun is not None:
            return Times(begun.at, max(0.0, time.monotonic() - begun.clock))
        received = self._received.get(task_id)
        started = getattr(received, "time_start", None)  # seconds since the epoch, set when a child took it
        if not started or _retries(received) + 1 != attempt:
            return Times()
        started_at = datetime.fromtimestamp(started, UTC)
        return Times(started_at, max(0.0, (now - started_at).total_seconds()))

    def receive(self, request: Any) -> None:
        """Note a request (``celery.worker.request.Request``) that the main process received."""
        self._received[request.id] = request

    def received(self, task_id: str | None) -> Request | None:
        """The latest attempt of a run that is waiting or under way in this worker, as its task would see it."""
        request = None if task_id is None else self._received.get(task_id)
        return None if request is None else as_task_request(request)


def as_task_request(request: Any) -> Request:
    """A worker's request in the form a task's has, with its headers, arguments, chord and chain."""
    payload = request.message.payload
    # Protocol 1 has a dict there, and nothing to add.
    embedded = payload[2] if isinstance(payload, (list, tuple)) and len(payload) == 3 else None
    return Request(request.request_dict, **(embedded or {}))


def _retries(request: Any) -> int:
    return request.request_dict.get("retries") or 0
