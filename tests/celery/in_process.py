"""Celery apps whose tasks run in this process, without a worker, by Celery's own tracer."""

from __future__ import annotations

import uuid
from typing import Any

from celery import Celery, Task
from celery.app.trace import build_tracer

from streamnotify.celery import install
from streamnotify.sdk import TaskEvent


class RecordingPublisher:
    """Keeps what is published; ``broken`` makes it raise instead, ``full`` refuse."""

    def __init__(self) -> None:
        self.events: list[TaskEvent] = []
        self.flushes = 0
        self.broken = False
        self.full = False

    def publish(self, event: TaskEvent) -> bool:
        if self.broken:
            raise RuntimeError("broken publisher")
        self.events.append(event)
        return not self.full

    def flush(self) -> int:
        self.flushes += 1
        return 0

    @property
    def statuses(self) -> list[str]:
        return [str(event.status) for event in self.events]


class App(Celery):  # type: ignore[misc] # Celery has no types
    """Keeps its tasks to itself, where Celery gives them to all apps of the process; takes lambdas too."""

    def task(self, *functions: Any, **options: Any) -> Any:
        """As Celery's."""
        for function in functions:
            if function.__name__ == "<lambda>":
                function.__name__ = "unnamed"
        return super().task(*functions, **{"shared": False} | options)


def an_app(publisher: RecordingPublisher, **options: Any) -> App:
    """An installed app of its own; ``options`` are those of ``install``."""
    app = App("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    install(app, publisher=publisher, **options)
    return app


def run(task: Task, *args: Any, task_id: str | None = None, kwargs: Any = None, **request: Any) -> Any:
    """Run a task as a pool's process does, with ``request`` as headers and fields of its request.

    Returns:
        Celery's trace: ``retval``, ``info`` (None after a success), ``runtime``.
    """
    task_id = task_id or str(uuid.uuid4())
    trace = build_tracer(task.name, task, app=task.app)
    whole = {"id": task_id, "task": task.name, "delivery_info": {}, "is_eager": False} | request
    return trace(task_id, args, kwargs or {}, whole)
