"""From a notification to the bytes of its mail. Pure: the same input makes the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import TemplateNotFound

from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.addresses import envelope_address
from streamnotify.render.environment import environments, templates_directory, wrap
from streamnotify.render.mime import Mailbox, Mime, to_bytes
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.subject import format_subject, subject_line
from streamnotify.render.variables import Variables, task_variables

TASK_COMPLETION = "task_completion"
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready for the outbox. ``message_id`` is without angle brackets; ``warnings`` are for the log."""

    to: str
    sender: str
    message_id: str
    subject: str
    content: bytes
    warnings: tuple[str, ...] = ()


class Renderer:
    """Renders mails with the templates as they are when it is made.

    Args:
        policy: sender, brand and links.
        directory: the templates; None means the shipped ones.
    """

    def __init__(self, policy: RenderPolicy, directory: Path | None = None) -> None:
        self._policy = policy
        self._jinja = environments(directory or templates_directory())

    def task_mail(self, notification: TaskNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` how a run ended, dated ``now``.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        warnings: list[str] = []
        to = envelope_address(email)
        variables = task_variables(notification, self._policy)
        template = self._template(notification.template, warnings)
        subject = self._subject(template, notification.subject_template, variables, warnings)
        content = Mime(
            sender=Mailbox(self._policy.sender, self._policy.brand.name),
            to=Mailbox(to, notification.name),
            subject=subject,
            at=now,
            message_id=self._message_id(notification),
            boundary=f"=_{notification.notification_id}",
            text=wrap(self._body(f"{template}.txt", variables)),
            html=self._body(f"{template}.html", variables | {"subject": subject}),
            reply_to=self._policy.brand.reply_to,
            machine_headers=(
                ("Auto-Submitted", "auto-generated"),
                ("X-Auto-Response-Suppress", "All"),
                ("X-Notification-ID", notification.notification_id),
            ),
        )
        return RenderedMail(to, self._policy.sender, content.message_id, subject, to_bytes(content), tuple(warnings))

    def _template(self, wanted: str | None, warnings: list[str]) -> str:
        """The template to use; an unknown one must not lose the mail."""
        if wanted is None:
            return TASK_COMPLETION
        if _TEMPLATE_NAME.fullmatch(wanted) and self._exists(wanted):
            return wanted
        warnings.append(f"Unknown template {wanted!r}: {TASK_COMPLETION} is used")
        return TASK_COMPLETION

    def _exists(self, template: str) -> bool:
        try:
            self._jinja.html.get_template(f"{template}.html")
        except TemplateNotFound:
            return False
        return True

    def _subject(self, template: str, wanted: str | None, variables: Variables, warnings: list[str]) -> str:
        if wanted is not None:
            subject = format_subject(wanted, variables)
            if subject is not None:
                return subject
            warnings.append(f"subject_template {wanted!r} cannot be filled in: the default subject is used")
        return subject_line(self._body(f"{template}.subject", variables))

    def _body(self, name: str, variables: Variables) -> str:
        jinja = self._jinja.html if name.endswith(".html") else self._jinja.text
        return jinja.get_template(name).render(variables, brand=self._policy.brand)

    def _message_id(self, notification: TaskNotification) -> str:
        """Names neither the recipient nor a host, and is the same each time this notification is rendered."""
        kind = _NOT_IN_ID.sub("-", notification.kind)[:64]
        domain = self._policy.sender.rpartition("@")[2]
        return f"{kind}.{notification.notification_id}@{domain}"
