"""From a notification to the bytes of its mail. Pure: the same input makes the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY, AlertNotification, HealthNotification
from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import TaskNotification, notification_id
from streamnotify.render.addresses import envelope_address
from streamnotify.render.alert_variables import alert_variables, health_variables
from streamnotify.render.library import TASK_COMPLETION, Library
from streamnotify.render.mime import Mailbox, Mime, to_bytes
from streamnotify.render.organizations import organization_brands
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.subject import format_subject, subject_line
from streamnotify.render.variables import Variables, declared_only, task_variables
from streamnotify.render.wrapping import wrap

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")
_NOT_FOR_TASKS = frozenset((ALERT, RECOVERY, HEALTH))  # templates that a task's variables cannot fill in
_MACHINE_HEADERS = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))


Notification: TypeAlias = TaskNotification | AlertNotification | HealthNotification


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready for the outbox. ``message_id`` is without angle brackets; ``warnings`` are for the log.

    ``problems`` say which of the operator's templates could not be used; they are in the log already. ``text`` is the
    part of ``content`` without HTML.
    """

    to: str
    sender: str
    message_id: str
    subject: str
    text: str
    content: bytes
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def outgoing(self, notification: Notification, now: datetime, max_age: timedelta) -> OutgoingMail:
        """The mail as it goes into the outbox: about ``notification``, made ``now``, of use for ``max_age``."""
        return OutgoingMail(
            notification_id=notification.notification_id,
            kind=notification.kind,
            to=self.to,
            sender=self.sender,
            message_id=self.message_id,
            subject=self.subject,
            content=self.content,
            created_at=now,
            expires_at=now + max_age,
            urgent=notification.urgent,
            task_name=notification.task_name,
            task_id=notification.task_id,
            user_id=notification.user_id,
            organization_id=notification.organization_id,
            monitor=None if isinstance(notification, TaskNotification) else notification.monitor,
        )


@dataclass(frozen=True, slots=True)
class _Content:
    """What a mail is to say.

    ``declared`` are the variables of shipped templates. ``subject`` None: the template's. ``thread`` names the thread
    the mail belongs to. ``must_come``: the recipient cannot unsubscribe from mails like this.
    """

    template: str
    variables: Variables
    declared: Variables
    recipient_name: str | None = None
    subject: str | None = None
    thread: str | None = None
    must_come: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a mail's templates make, and which of them could not be used."""

    subject: str
    text: str
    html: str
    problems: tuple[str, ...]


class Renderer:
    """Renders mails with the templates and brands as they are when it is made.

    Args:
        policy: sender, brand and links.
        own: the operator's templates and the organizations' brands; None if there are none.

    Raises:
        ValueError: if an organization's brand is not valid.
    """

    def __init__(self, policy: RenderPolicy, own: Path | None = None) -> None:
        self._policy = policy
        self._library = Library(own)
        self._brands = organization_brands(own, policy.brand)

    @property
    def library(self) -> Library:
        """The templates."""
        return self._library

    def organizations(self) -> list[str]:
        """The ids of organizations with a brand or templates of their own."""
        return sorted(self._brands.keys() | self._library.organizations())

    def task_mail(self, notification: TaskNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` how a run ended, dated ``now``.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        variables = task_variables(notification, self._policy)
        name = variables["recipient_name"]
        template, template_warning = self._task_template(notification)
        subject, subject_warning = _wanted_subject(notification.subject_template, variables)
        content = _Content(
            template,
            variables,
            declared_only(variables),
            recipient_name=name if isinstance(name, str) else None,
            subject=subject,
            warnings=tuple(warning for warning in (template_warning, subject_warning) if warning),
        )
        return self._mail(notification, content, email, now)

    def alert_mail(self, alert: AlertNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` that a task is not as expected, or is again, dated ``now``.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        variables = alert_variables(alert)
        # All about one task in one monitor: alerts, reminders and recovery (research/email.md item 21).
        thread = notification_id("thread", alert.monitor, alert.task_name, email.lower())
        content = _Content(alert.kind, variables, variables, recipient_name=alert.name, thread=thread)
        return self._mail(alert, content, email, now)

    def health_mail(self, health: HealthNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` that checks were missed, dated ``now``. Nobody can unsubscribe from it.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        variables = health_variables(health)
        content = _Content(HEALTH, variables, variables, recipient_name=health.name, must_come=True)
        return self._mail(health, content, email, now)

    def _mail(self, notification: Notification, content: _Content, email: str, now: datetime) -> RenderedMail:
        to = envelope_address(email)
        kind = _NOT_IN_ID.sub("-", notification.kind)[:64]
        unsubscribe_url = None if content.must_come else self._unsubscribe_url(kind)
        brand = self._brands.get(notification.organization_id or "", self._policy.brand)
        parts = self._parts(content, notification.organization_id, {"brand": brand, "unsubscribe_url": unsubscribe_url})
        host = self._policy.sender.rpartition("@")[2]
        mail = Mime(
            sender=Mailbox(self._policy.sender, brand.name),
            to=Mailbox(to, content.recipient_name),
            subject=parts.subject,
            at=now,
            # It names neither the recipient nor a host, and is the same each time this notification is rendered.
            message_id=f"{kind}.{notification.notification_id}@{host}",
            boundary=f"=_{notification.notification_id}",
            text=parts.text,
            html=parts.html,
            reply_to=brand.reply_to,
            list_unsubscribe=(unsubscribe_url,) if unsubscribe_url else (),
            references=(f"thread.{content.thread}@{host}",) if content.thread else (),
            machine_headers=(*_MACHINE_HEADERS, ("X-Notification-ID", notification.notification_id)),
        )
        return RenderedMail(
            to=to,
            sender=self._policy.sender,
            message_id=mail.message_id,
            subject=mail.subject,
            text=mail.text,
            content=to_bytes(mail),
            warnings=content.warnings,
            problems=parts.problems,
        )

    def _parts(self, content: _Content, organization_id: str | None, of_the_mail: Variables) -> _Parts:
        problems = []
        variables, declared = content.variables | of_the_mail, content.declared | of_the_mail

        def rendered(suffix: str) -> str:
            part = self._library.render(content.template, suffix, organization_id, variables, declared)
            if part.problem:
                problems.append(part.problem)
            return part.text

        subject = content.subject or subject_line(rendered("subject"))
        variables["subject"] = declared["subject"] = subject
        return _Parts(subject, wrap(rendered("txt").strip("\n") + "\n"), rendered("html"), tuple(problems))

    def _task_template(self, notification: TaskNotification) -> tuple[str, str | None]:
        """The template to use, and a warning if it is not the wanted one: an unknown one must not lose the mail."""
        wanted = notification.template
        if wanted is None:
            return TASK_COMPLETION, None
        if wanted not in _NOT_FOR_TASKS and self._library.has(wanted, notification.organization_id):
            return wanted, None
        return TASK_COMPLETION, f"Unknown template {wanted!r}: {TASK_COMPLETION} is used"

    def _unsubscribe_url(self, kind: str) -> str | None:
        address = self._policy.unsubscribe_mailto
        return None if address is None else f"mailto:{quote(address, safe='@')}?subject=unsubscribe%20{kind}"


def _wanted_subject(wanted: str | None, variables: Variables) -> tuple[str | None, str | None]:
    """The subject that a publisher wants (None: the template's), and a warning if it cannot be made."""
    if wanted is None:
        return None, None
    subject = format_subject(wanted, variables)
    return subject, None if subject else f"subject_template {wanted!r} cannot be filled in: the default subject is used"
