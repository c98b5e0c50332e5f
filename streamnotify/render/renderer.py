"""From a notification to the bytes of its mail. Pure: the same input makes the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.addresses import envelope_address
from streamnotify.render.library import TASK_COMPLETION, Library
from streamnotify.render.mime import Mailbox, Mime, to_bytes
from streamnotify.render.organizations import organization_brands
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.subject import format_subject, subject_line
from streamnotify.render.variables import Variables, declared_only, task_variables
from streamnotify.render.wrapping import wrap

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")
_MACHINE_HEADERS = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready for the outbox. ``message_id`` is without angle brackets; ``warnings`` are for the log.

    ``problems`` say which of the operator's templates could not be used; they are in the log already.
    """

    to: str
    sender: str
    message_id: str
    subject: str
    content: bytes
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def outgoing(self, notification: TaskNotification, now: datetime, max_age: timedelta) -> OutgoingMail:
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
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a mail's templates make."""

    subject: str
    text: str
    html: str


@dataclass(slots=True)
class _Said:
    """What there is to say about a mail."""

    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


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
        to = envelope_address(email)
        said = _Said()
        kind = _NOT_IN_ID.sub("-", notification.kind)[:64]
        unsubscribe_url = self._unsubscribe_url(kind)
        brand = self._brands.get(notification.organization_id or "", self._policy.brand)
        variables = task_variables(notification, self._policy) | {"brand": brand, "unsubscribe_url": unsubscribe_url}
        parts = self._parts(notification, variables, said)
        name = variables["recipient_name"]
        mail = Mime(
            sender=Mailbox(self._policy.sender, brand.name),
            to=Mailbox(to, name if isinstance(name, str) else None),
            subject=parts.subject,
            at=now,
            # It names neither the recipient nor a host, and is the same each time this notification is rendered.
            message_id=f"{kind}.{notification.notification_id}@{self._policy.sender.rpartition('@')[2]}",
            boundary=f"=_{notification.notification_id}",
            text=parts.text,
            html=parts.html,
            reply_to=brand.reply_to,
            list_unsubscribe=(unsubscribe_url,) if unsubscribe_url else (),
            machine_headers=(*_MACHINE_HEADERS, ("X-Notification-ID", notification.notification_id)),
        )
        return RenderedMail(
            to=to,
            sender=self._policy.sender,
            message_id=mail.message_id,
            subject=mail.subject,
            content=to_bytes(mail),
            warnings=tuple(said.warnings),
            problems=tuple(said.problems),
        )

    def _parts(self, notification: TaskNotification, variables: Variables, said: _Said) -> _Parts:
        template = self._template(notification, said)

        def rendered(suffix: str) -> str:
            declared = declared_only(variables)
            part = self._library.render(template, suffix, notification.organization_id, variables, declared)
            said.problems.extend([part.problem] if part.problem else [])
            return part.text

        subject = self._wanted_subject(notification.subject_template, variables, said)
        subject = subject or subject_line(rendered("subject"))
        variables = variables | {"subject": subject}
        return _Parts(subject, wrap(rendered("txt").strip("\n") + "\n"), rendered("html"))

    def _template(self, notification: TaskNotification, said: _Said) -> str:
        """The template to use; an unknown one must not lose the mail."""
        wanted = notification.template
        if wanted is None or self._library.has(wanted, notification.organization_id):
            return wanted or TASK_COMPLETION
        said.warnings.append(f"Unknown template {wanted!r}: {TASK_COMPLETION} is used")
        return TASK_COMPLETION

    def _wanted_subject(self, wanted: str | None, variables: Variables, said: _Said) -> str | None:
        if wanted is None:
            return None
        subject = format_subject(wanted, variables)
        if subject is None:
            said.warnings.append(f"subject_template {wanted!r} cannot be filled in: the default subject is used")
        return subject

    def _unsubscribe_url(self, kind: str) -> str | None:
        address = self._policy.unsubscribe_mailto
        return None if address is None else f"mailto:{quote(address, safe='@')}?subject=unsubscribe%20{kind}"
