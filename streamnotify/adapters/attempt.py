"""One try of a run, as the process that works on it sees it: what every adapter tells about it."""

from __future__ import annotations

import time
import traceback
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher
from streamnotify.sdk.current import CurrentRun, current_run, set_current_run
from streamnotify.sdk.encoding import variables_of
from streamnotify.sdk.event import ErrorInfo, TaskEvent


class Attempt:
    """Publishes that it began and how it ended; in between it is the current run, which ``progress()`` looks for.

    Args:
        event: what all its events have in common: name, id, attempt, tenant, notify; its status does not matter.
    """

    def __init__(self, event: TaskEvent) -> None:
        self.event = event
        self._began: float | None = None
        self._before = current_run()

    def clock(self) -> None:
        """Note that it begins now, if that has not been done: its duration counts from here."""
        self._began = self._began or time.monotonic()
        self.event = replace(self.event, started_at=self.event.started_at or datetime.now(UTC))

    def begin(self) -> None:
        """Publish that it runs."""
        self.clock()
        event = self.event
        set_current_run(
            CurrentRun(
                task_name=event.task_name,
                task_id=event.task_id or "",
                attempt=event.attempt or 1,
                organization_id=event.organization_id,
                user_id=event.user_id,
            )
        )
        default_publisher().publish(replace(event, status=Status.RUNNING))

    def over(self) -> None:
        """Note that it is over, if that has not been done: how it ended may be known only later."""
        if self.event.finished_at is None:
            set_current_run(self._before)
            duration = None if self._began is None else time.monotonic() - self._began
            self.event = replace(self.event, finished_at=datetime.now(UTC), duration_s=duration)

    def end(
        self,
        status: Status,
        *,
        result: Any = None,
        error: ErrorInfo | None = None,
        final: bool = True,
        expected: bool | None = None,
    ) -> None:
        """Publish how it ended; complete by itself, as the events before it may be lost (research/celery-sdk.md P4).

        Args:
            result: what the task returned; sent only if somebody is told (P1), and then only a dict (R5).
            final: False: another attempt follows.
            expected: True: a failure that the task declares.
        """
        self.over()
        default_publisher().publish(
            replace(
                self.event,
                status=status,
                result=None if self.event.notify is None else variables_of(result),
                error=error,
                final=None if final else False,
                expected=expected,
            )
        )


def error_of(exception: BaseException, cause: str = "exception") -> ErrorInfo:
    """An exception as SPEC 2.1 has errors.

    Args:
        cause: as in research/celery-sdk.md section 7.
    """
    try:
        message = str(exception)
    except Exception:  # noqa: BLE001 - its own __str__
        message = ""
    lines = traceback.format_exception(exception) if sends_tracebacks() else None
    return ErrorInfo(
        type=type(exception).__name__, message=message, cause=cause, traceback=None if lines is None else "".join(lines)
    )


def sends_tracebacks() -> bool:
    """Whether somebody opted in to them; they may hold secrets."""
    config = default_publisher().config
    return config is not None and config.with_traceback
