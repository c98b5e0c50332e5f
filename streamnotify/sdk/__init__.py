"""Task events from an application: ``publish(TaskEvent(task_name="nightly-report", status=Status.RUNNING))``.

Everything here is safe to call from any task: nothing raises, nothing waits, and without ``KAFKA_BOOTSTRAP_SERVERS``
nothing happens but one line in the log.
"""

from __future__ import annotations

from streamnotify.domain.status import Status
from streamnotify.sdk.api import default_publisher, invalidate, progress, publish, set_default_publisher
from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.event import Context, ErrorInfo, Notify, Progress, TaskEvent
from streamnotify.sdk.publisher import Publisher

__all__ = [
    "Context",
    "ErrorInfo",
    "Notify",
    "Progress",
    "Publisher",
    "PublisherConfig",
    "Status",
    "TaskEvent",
    "default_publisher",
    "invalidate",
    "progress",
    "publish",
    "set_default_publisher",
]
