"""Which apps of this process publish, and how each was told to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Protocol

from celery import Celery, Task
from celery.app.task import Context as Request

from streamnotify.celery.headers import tenant
from streamnotify.celery.mail_options import mail_options
from streamnotify.errors import SettingsError
from streamnotify.sdk import api
from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.event import Context, TaskEvent
from streamnotify.sdk.publisher import Publisher

logger = logging.getLogger(__name__)

ContextOf = Callable[[Request, Any, Any], Context | Mapping[str, Any] | None]
RecipientOf = Callable[[Request], Mapping[str, Any] | None]
DbSession = Callable[[str | None, str | None], AbstractContextManager[Any]]


class EventPublisher(Protocol):
    """What is needed of a :class:`~streamnotify.sdk.Publisher`, so that tests may record instead."""

    def publish(self, event: TaskEvent) -> bool:
        """True if the event is on its way."""
        ...

    def flush(self) -> int:
        """Wait until nothing is on its way; returns how many events were lost."""
        ...


@dataclass
class Installed:
    """An app and what :func:`streamnotify.celery.install` was told about it; see there."""

    app: Celery
    publisher_given: EventPublisher | None
    source_given: str | None
    context: ContextOf | None
    recipient: RecipientOf | None
    tenant_keys: tuple[str, ...]
    publish_pending: bool
    publish_eager: bool
    ignore: tuple[str, ...]
    with_traceback: bool | None
    db_session: DbSession | None
    _ignored: dict[str, bool] = field(default_factory=dict)
    _warned_of: set[str] = field(default_factory=set)

    @property
    def publisher(self) -> EventPublisher:
        """The one given, else the process's default one, whichever that is by now."""
        return self.publisher_given or api.default_publisher()

    @cached_property
    def source(self) -> str:
        """The producing application; found out at the first event, so that the environment may be set until then."""
        return self.source_given or self._config.source or self.app.main or ""

    @cached_property
    def sends_tracebacks(self) -> bool:
        """Whether errors carry their tracebacks."""
        return self._config.with_traceback if self.with_traceback is None else self.with_traceback

    @cached_property
    def _config(self) -> PublisherConfig:
        config = self.publisher.config if isinstance(self.publisher, Publisher) else None
        if config is not None:
            return config
        try:
            return PublisherConfig.from_environment()
        except SettingsError:  # the publisher says so
            return PublisherConfig()

    def set_role(self, role: str, *, unless_known: bool = False) -> None:
        """Say what this process is, for the ``producer`` field of its events."""
        publisher = self.publisher
        if isinstance(publisher, Publisher) and not (unless_known and publisher.role):
            publisher.role = role

    def ignores(self, task_name: str) -> bool:
        """Whether nothing is published about a task."""
        ignored = self._ignored.get(task_name)
        if ignored is None:
            ignored = any(fnmatchcase(task_name, pattern) for pattern in self.ignore)
            if len(self._ignored) < 10_000:  # names arrive from outside
                self._ignored[task_name] = ignored
        return ignored

    def warn_if_unheard(self, task: Task) -> None:
        """Say, once for each task, that it asks for mails which will never be, since it is ignored."""
        if task.app is not self.app or not self.ignores(task.name) or task.name in self._warned_of:
            return
        self._warned_of.add(task.name)
        if mail_options(task) is not None:
            pattern = next(pattern for pattern in self.ignore if fnmatchcase(task.name, pattern))
            logger.warning(
                "task %s has @email_notification, and install(ignore=...) has %s: nothing is published about it",
                task.name,
                pattern,
            )

    def speaks_for(self, task_name: str) -> bool:
        """Whether a task known by its name only is this app's; one that no app here registered is everybody's."""
        return task_name in self.app.tasks or not any(
            task_name in other.app.tasks for other in _installed.values() if other is not self
        )


_installed: dict[int, Installed] = {}

TENANT_KEYS = ("organization_id", "user_id")


def installed_for(app: Celery) -> Installed | None:
    """What is installed for an app."""
    return _installed.get(id(app))


def tenant_of(app: Celery, request: Request) -> tuple[str | None, str | None]:
    """The organization and the user that a task of ``app`` belongs to."""
    installed = installed_for(app)
    organization, user = (TENANT_KEYS if installed is None else installed.tenant_keys)[:2]
    return tenant(request, organization), tenant(request, user)


def remember(installed: Installed) -> None:
    """Note it; the app is kept alive by that."""
    _installed[id(installed.app)] = installed
