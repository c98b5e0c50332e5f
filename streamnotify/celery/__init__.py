"""Celery tasks that say what happens to them: ``install(app)``, and mails for those under ``@email_notification``.

It connects to Celery's signals only: tasks, their results, settings and retries stay as they are. docs/celery.md has
the whole of it.
"""

from __future__ import annotations

from streamnotify.celery.decorators import email_notification, with_tenant_context
from streamnotify.celery.install import install
from streamnotify.celery.mail_options import EmailTemplate
from streamnotify.celery.tasks import BaseTask, EmailEnabledTask, SilentTask

__all__ = [
    "BaseTask",
    "EmailEnabledTask",
    "EmailTemplate",
    "SilentTask",
    "email_notification",
    "install",
    "with_tenant_context",
]
