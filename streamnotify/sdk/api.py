"""The functions an application calls, on one publisher for the whole process."""

from __future__ import annotations

from streamnotify.domain.status import Status
from streamnotify.sdk.config import run_of_environment
from streamnotify.sdk.current import CurrentRun, current_run
from streamnotify.sdk.event import ErrorInfo, Progress, TaskEvent
from streamnotify.sdk.publisher import Publisher

_publisher = Publisher()


def default_publisher() -> Publisher:
    """The publisher behind the functions of this module; configured from the environment unless another was set."""
    return _publisher


def set_default_publisher(publisher: Publisher) -> None:
    """Have this module's functions, and every integration that is given none, use ``publisher``."""
    global _publisher  # noqa: PLW0603 - one per process is the point
    _publisher = publisher


def publish(event: TaskEvent) -> bool:
    """Publish an event; see :meth:`Publisher.publish`."""
    return _publisher.publish(event)


def progress(percent: float | None = None, text: str | None = None, *, run: CurrentRun | None = None) -> bool:
    """Say how far a running task has come.

    Args:
        percent: 0 to 100.
        text: a word about it.
        run: default: the one this code is part of, which every integration of ours sets, and ``streamnotify run`` for
            the command it runs; without one nothing is published, and the answer is False.
    """
    run = run or current_run() or run_of_environment()
    if run is None:
        return False
    return _publisher.publish(_about(run, Status.RUNNING, progress=Progress(percent=percent, text=text)))


def invalidate(task_name: str, task_id: str, reason: str | None = None, *, attempt: int = 1) -> bool:
    """Declare what a run did void ("invalidated for retry"); nobody is mailed (SPEC section 3).

    Args:
        reason: kept as the run's error message.
        attempt: the one that is void, counted from 1.
    """
    run = CurrentRun(task_name, task_id, attempt)
    error = None if reason is None else ErrorInfo(message=reason)
    return _publisher.publish(_about(run, Status.INVALIDATED, error=error))


def _about(
    run: CurrentRun, status: Status, *, progress: Progress | None = None, error: ErrorInfo | None = None
) -> TaskEvent:
    return TaskEvent(
        task_name=run.task_name,
        status=status,
        task_id=run.task_id,
        attempt=run.attempt,
        organization_id=run.organization_id,
        user_id=run.user_id,
        progress=progress,
        error=error,
    )
