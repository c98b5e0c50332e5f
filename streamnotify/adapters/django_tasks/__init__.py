"""Django tasks: ``"streamnotify.adapters.django_tasks"`` in ``INSTALLED_APPS`` publishes what becomes of every task.

For ``django.tasks`` (Django 6) and its backport ``django-tasks``, with every backend that sends their signals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from streamnotify.sdk.event import Notify

T = TypeVar("T")

NOTIFY = "streamnotify_notify"  # of the task's function


def notifies(
    *,
    template: str | None = None,
    subject_template: str | None = None,
    email: str | None = None,
    name: str | None = None,
    on: tuple[str, ...] | None = None,
    urgent: bool | None = None,
) -> Callable[[T], T]:
    """Opt a task in: somebody is told how it ended. Above or below ``@task``, it makes no difference.

    Who: the user whose id the task has as its argument ``user_id``, else ``email``. The arguments are those of
    :class:`~streamnotify.sdk.Notify`.
    """
    notify = Notify(template=template, subject_template=subject_template, email=email, name=name, on=on, urgent=urgent)

    def mark(task: T) -> T:
        function: Any = getattr(task, "func", task)
        setattr(function, NOTIFY, notify)
        return task

    return mark
