"""The bases of the source document. They log; what is published does not depend on them, but on Celery's signals."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task
from celery.app.task import Context as Request
from celery.utils.log import get_task_logger

from streamnotify.celery.events import failure
from streamnotify.celery.installed import tenant_of
from streamnotify.celery.mail_options import EmailTemplate, MailOptions
from streamnotify.sdk.event import Notify


def log_with_context(task: Task, request: Request, level: int, message: str, **context: Any) -> None:
    """Log ``message [task_id=…, organization_id=…, user_id=…, k=v]`` with the task's logger.

    Args:
        request: of the run; in the worker's main process the task itself has none.
        level: as in :mod:`logging`.
        context: what else stands in the brackets.
    """
    logger = get_task_logger(task.name)
    if not logger.isEnabledFor(level):
        return
    organization_id, user_id = tenant_of(task.app, request)
    known = {"task_id": request.id, "organization_id": organization_id, "user_id": user_id}
    values = {key: value or "unknown" for key, value in known.items()} | context
    text = ", ".join(f"{key}={value}" for key, value in values.items())
    logger.log(level, "%s [%s]", message, text)


class BaseTask(Task):  # type: ignore[misc] # Celery has no types
    """Logs how each attempt ends, with the run's tenant. Silent unless ``@email_notification`` stands above it.

    Subclasses that override ``on_success``, ``on_failure`` or ``on_retry`` lose these lines, not the mail.
    """

    abstract = True
    display_name: str | None = None
    never_mails = False

    def log_with_context(self, level: str, message: str, **context: Any) -> None:
        """Log a line of the task's own, followed by what it belongs to: ``message [task_id=…, k=v]``.

        Args:
            level: debug, info, warning or error.
            context: what else stands in the brackets.
        """
        log_with_context(self, self.request, logging.getLevelNamesMapping()[level.upper()], message, **context)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Celery's hook, before ``task_success``."""
        self.log_with_context("info", "Task completed successfully", task_id=task_id)
        super().on_success(retval, task_id, args, kwargs)

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Celery's hook; it is called once the run is over, never before a retry (C4)."""
        retries = self.request.retries or 0
        if retries and self.max_retries is not None and retries >= self.max_retries:
            message = f"Task permanently failed after {retries + 1} attempts"
        else:
            message = "Task failed permanently (not retryable)"
        self.log_with_context("error", message, task_id=task_id, **_error(exc))
        super().on_failure(exc, task_id, args, kwargs, einfo)

    def on_retry(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Celery's hook; ``exc`` is None if the task asked for a retry without one."""
        attempt = (self.request.retries or 0) + 1
        most = "unlimited" if self.max_retries is None else self.max_retries + 1
        message = f"Task failed (will retry, attempt {attempt}/{most})"
        self.log_with_context("warning", message, task_id=task_id, **_error(exc))
        super().on_retry(exc, task_id, args, kwargs, einfo)


class EmailEnabledTask(BaseTask):
    """As :class:`BaseTask`, and its runs are mailed with the default template, decorated or not."""

    abstract = True
    streamnotify_mail = MailOptions(Notify(template=str(EmailTemplate.TASK_COMPLETION)))


class SilentTask(BaseTask):
    """As :class:`BaseTask`, and its runs are never mailed, even if it is decorated."""

    abstract = True
    never_mails = True


def _error(exc: BaseException | None) -> dict[str, Any]:
    if exc is None:
        return {}
    told = failure(exc)  # whatever its __str__ does: what a hook raises fails the task
    return {"error": told.message, "exception_type": told.type}
