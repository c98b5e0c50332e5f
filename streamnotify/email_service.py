"""Task mails without Kafka: one call, one mail, made and handed over as the worker does it (SPEC section 4).

    from streamnotify.email_service import email_service

The settings are those of the environment and ``.env``, read when the first mail is sent. Nothing is queued or tried
again, and the list of suppressed addresses, which the workers keep, is not asked.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

from streamnotify import bootstrap, settings
from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail
from streamnotify.domain.notifications import TaskNotification, is_placeholder, notification_id
from streamnotify.domain.status import MAILED_OUTCOMES, STATUS_NAMES
from streamnotify.errors import SettingsError, StreamnotifyError
from streamnotify.render.renderer import Renderer
from streamnotify.settings import Settings

logger = logging.getLogger(__name__)

_KIND = "task_completion"
_ALLOWED_TIME = timedelta(hours=1)
_EXECUTION_TIME = re.compile(r"(?:(\d{1,9})\s*h)?\s*(?:(\d{1,9})\s*m)?\s*(?:(\d{1,9}(?:\.\d{1,20})?)\s*s)?", re.ASCII)


class NotSent(StreamnotifyError):
    """The mail did not go out; nothing more will be tried."""


@dataclass(frozen=True, slots=True)
class DirectMail:
    """What :meth:`EmailService.send_task_completion_email` is asked to say, under its names."""

    recipient_email: str
    recipient_name: str | None
    task_name: str
    task_id: str
    status: str
    execution_time: str | None = None
    error_message: str | None = None
    test_run_id: str | None = None
    template: str | None = None

    def notification(self, now: datetime) -> TaskNotification:
        """As the worker's renderer takes it. Each call is a mail of its own, so the time is part of its id.

        Raises:
            NotSent: if the status is none that is mailed.
        """
        status = STATUS_NAMES.get(self.status.lower())
        outcome = MAILED_OUTCOMES.get(status) if status is not None else None
        if outcome is None:
            raise NotSent(f"status {self.status!r}: success, failed or cancelled is allowed")
        task_name, task_id = _writable(self.task_name), _writable(self.task_id)
        return TaskNotification(
            notification_id=notification_id(_KIND, task_name, task_id, self.recipient_email, now.isoformat()),
            kind=_KIND,
            task_name=task_name,
            task_id=task_id,
            status=outcome.value,
            completed_at=now,
            template=self.template,
            duration_s=seconds(self.execution_time),
            error_message=self.error_message,
            email=self.recipient_email,
            name=self.recipient_name,
            variables={"test_run_id": self.test_run_id} if self.test_run_id else {},
        )


class EmailService:
    """Sends task mails directly.

    Args:
        loaded: the settings; None means those of the environment, read at the first mail.
    """

    def __init__(self, loaded: Settings | None = None) -> None:
        self._given = loaded
        self._renderer = lru_cache(maxsize=8)(self._new_renderer)  # of each frontend_url: templates are read once

    def send_task_completion_email(
        self,
        recipient_email: str,
        recipient_name: str | None,
        task_name: str,
        task_id: str,
        status: str,
        execution_time: str | None = None,
        error_message: str | None = None,
        test_run_id: str | None = None,
        frontend_url: str | None = None,
    ) -> bool:
        """Tell somebody how a task ended; True once the relay has accepted the mail. Blocks until it has answered.

        Works inside a running event loop's thread too, and blocks that then. It never raises: whatever is wrong is in
        the log, ``Failed to send task completion email to ...``. An exception as error_message, or a UUID or number as
        an id, is taken for its text.

        Args:
            recipient_email: one address.
            recipient_name: how the person is greeted, or None.
            task_name: shown to the person.
            task_id: the run.
            status: success, failed or cancelled, or a task's status that means one of them.
            execution_time: such as "45.2s", "2m 45s" or "1h 01m 05s"; another text is left out.
            error_message: why it failed.
            test_run_id: what "View Results" leads to.
            frontend_url: where it leads, instead of the setting FRONTEND_URL.
        """
        try:
            mail = DirectMail(
                str(recipient_email),
                _text(recipient_name),
                str(task_name),
                str(task_id),
                str(status),
                _text(execution_time),
                _text(error_message),
                _text(test_run_id),
            )
            self._send(mail, frontend_url)
        except Exception as error:  # noqa: BLE001 - a task must not fail because its mail does
            logger.error("Failed to send task completion email to %s: %s", recipient_email, error)
            return False
        logger.info("Task completion email sent successfully to %s for task %s", recipient_email, task_id)
        return True

    @cached_property
    def _settings(self) -> Settings:
        loaded = self._given or settings.load()
        if not loaded.smtp_complete:
            logger.warning("SMTP configuration incomplete. Email notifications will be disabled.")
        return loaded

    def _send(self, mail: DirectMail, frontend_url: str | None) -> None:
        loaded = self._settings
        if not loaded.smtp_complete:
            raise NotSent("SMTP configuration incomplete")
        if is_placeholder(mail.recipient_email, loaded.placeholder_domains):
            raise NotSent("nobody reads a placeholder address")
        renderer = self._renderer(loaded.frontend_url if frontend_url is None else frontend_url)
        outgoing = rendered(renderer, mail, datetime.now(UTC))
        result = _in_a_loop_of_its_own(loaded, outgoing)
        if result.outcome is not Outcome.SENT:
            raise NotSent(result.words)

    def _new_renderer(self, frontend_url: str | None) -> Renderer:
        renderer = bootstrap.renderer(self._settings.model_copy(update={"frontend_url": frontend_url}))
        if renderer is None:
            raise NotSent("SMTP configuration incomplete")
        return renderer


def rendered(renderer: Renderer, mail: DirectMail, now: datetime) -> OutgoingMail:
    """The mail in its final bytes.

    Raises:
        NotSent: if the status is none that is mailed.
        ValueError: if the address is none.
    """
    notification = mail.notification(now)
    made = renderer.task_mail(notification, mail.recipient_email, now)
    for warning in made.warnings:
        logger.warning("Task %s: %s", mail.task_name, warning)
    return made.outgoing(notification, now, _ALLOWED_TIME)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def seconds(execution_time: str | None) -> float | None:
    """``45.2s``, ``2m 45s`` or ``1h 01m 05s`` in seconds; None for any other text."""
    found = _EXECUTION_TIME.fullmatch((execution_time or "").strip())
    if found is None or not any(found.groups()):
        return None
    hours, minutes, rest = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def _writable(text: str) -> str:
    """``text`` without halves of characters, which names of files may have."""
    return text.encode("utf-8", "replace").decode()


def _in_a_loop_of_its_own(loaded: Settings, mail: OutgoingMail) -> AttemptResult:
    """In a thread, since the caller's may have a running event loop already."""
    with ThreadPoolExecutor(1, "streamnotify-mail") as thread:
        return thread.submit(asyncio.run, _hand_over(loaded, mail)).result()


async def _hand_over(loaded: Settings, mail: OutgoingMail) -> AttemptResult:
    try:
        sender = bootstrap.sender(loaded)
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from error
    if sender is None:
        raise NotSent("SMTP configuration incomplete")
    try:
        return await sender.send(mail, 1, check_lease=lambda: None)
    finally:
        await sender.close()


email_service = EmailService()
