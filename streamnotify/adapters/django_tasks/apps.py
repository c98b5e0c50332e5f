"""The receivers of the signals of Django tasks."""

from __future__ import annotations

import inspect
from datetime import datetime
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from streamnotify.adapters.attempt import Attempt, sends_tracebacks
from streamnotify.adapters.django_tasks import NOTIFY
from streamnotify.adapters.guarding import guarded
from streamnotify.adapters.opting_in import id_in
from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher
from streamnotify.sdk.event import ErrorInfo, TaskEvent

_under_way: dict[str, Attempt] = {}  # in this process, by the task's id


class StreamnotifyConfig(AppConfig):  # type: ignore[misc] # Django has no types
    """Connects to Django 6's own signals and the backport's, whichever are there."""

    name = "streamnotify.adapters.django_tasks"
    label = "streamnotify_tasks"  # the backport has taken django_tasks
    verbose_name = "streamnotify"

    def ready(self) -> None:
        """Connect; once, however often it is called.

        Raises:
            ImproperlyConfigured: if there is neither.
        """
        found = [signals for signals in map(_module, ("django.tasks.signals", "django_tasks.signals")) if signals]
        if not found:
            raise ImproperlyConfigured(f"{self.name} needs Django 6 or django-tasks")
        for signals in found:
            for signal, receiver in (
                (signals.task_enqueued, on_enqueued),
                (signals.task_started, on_started),
                (signals.task_finished, on_finished),
            ):
                signal.connect(receiver, weak=False, dispatch_uid=self.name)


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


@guarded
def on_enqueued(task_result: Any, **_: Any) -> None:
    """Pending; within a transaction only once it is committed, as the row of the task may be rolled back with it."""
    event = _event(task_result, Status.PENDING)
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(guarded(lambda: default_publisher().publish(event)))
    else:
        default_publisher().publish(event)


@guarded
def on_started(task_result: Any, **_: Any) -> None:
    """Running."""
    attempt = _under_way[task_result.id] = Attempt(_event(task_result, Status.RUNNING))
    attempt.begin()


@guarded
def on_finished(task_result: Any, **_: Any) -> None:
    """Completed or Stopped. There is no retry: FAILED is final."""
    attempt = _under_way.pop(task_result.id, None) or Attempt(_event(task_result, Status.RUNNING))
    if task_result.status == "SUCCESSFUL":
        attempt.end(Status.COMPLETED, result=task_result.return_value)
    else:
        attempt.end(Status.STOPPED, error=_error(task_result.errors[-1]) if task_result.errors else None)


def _event(result: Any, status: Status) -> TaskEvent:
    arguments = _arguments(result)
    return TaskEvent(
        task_name=result.task.module_path,
        task_id=str(result.id),
        status=status,
        attempt=max(result.attempts, 1),
        submitted_at=_aware(result.enqueued_at),
        started_at=_aware(result.last_attempted_at),
        notify=getattr(result.task.func, NOTIFY, None),
        organization_id=id_in(arguments, "organization_id"),
        user_id=id_in(arguments, "user_id"),
    )


def _arguments(result: Any) -> dict[str, Any]:
    """The arguments by name, however they were given."""
    first = [None] if result.task.takes_context else []
    try:
        bound = inspect.signature(result.task.func).bind_partial(*first, *result.args, **result.kwargs)
    except TypeError:  # they do not fit: the task will fail by that
        return dict(result.kwargs)
    return {**bound.arguments, **result.kwargs}


def _aware(instant: datetime | None) -> datetime | None:
    """With ``USE_TZ = False`` Django's instants are local ones without a zone."""
    if instant is None or timezone.is_aware(instant):
        return instant
    aware: datetime = timezone.make_aware(instant, timezone.get_default_timezone())
    return aware


def _error(error: Any) -> ErrorInfo:
    """Django keeps the class and the traceback; the message stands behind the class in its last lines."""
    path = error.exception_class_path.removeprefix("builtins.")
    _, found, message = f"\n{error.traceback}".rpartition(f"\n{path}: ")
    return ErrorInfo(
        type=path.rpartition(".")[2],
        message=message.strip() if found else None,
        cause="exception",
        traceback=error.traceback if sends_tracebacks() else None,
    )
