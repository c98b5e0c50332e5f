"""From a notification to the bytes of its mail. Pure: the same input makes the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY, AlertNotification, HealthNotification
from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.notifications import TaskNotification, notification_id
from streamnotify.domain.pending import DigestNotification
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.domain.recipients import address_mailbox
from streamnotify.render.addresses import envelope_address
from streamnotify.render.alert_variables import alert_variables, health_variables
from streamnotify.render.digest_variables import digest_variables
from streamnotify.render.library import TASK_COMPLETION, Library
from streamnotify.render.mime import Mailbox, Mime, to_bytes
from streamnotify.render.organizations import organization_brands
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.subject import format_subject, subject_line
from streamnotify.render.variables import Variables, declared_only, task_variables
from streamnotify.render.wrapping import wrap

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")
DIGEST = "notification_digest"
_NOT_FOR_TASKS = frozenset((ALERT, RECOVERY, HEALTH, DIGEST))  # templates that a task's variables cannot fill in
_MACHINE_HEADERS = (("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All"))

Notification: TypeAlias = TaskNotification | AlertNotification | HealthNotification | DigestNotification


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
            mailbox=notification.mailbox,
            digest=notification.pending if isinstance(notification, DigestNotification) else None,
        )


@dataclass(frozen=True, slots=True)
class _Content:
    """What a mail is to say.

    ``declared`` are the variables of shipped templates. ``kinds`` are those one can unsubscribe from; none if the mail
    must come. ``subject`` None: the template's. ``thread`` names the thread the mail belongs to.
    """

    template: str
    variables: Variables
    declared: Variables
    kinds: tuple[str, ...]
    recipient_name: str | None = None
    subject: str | None = None
    thread: str | None = None
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
        # A brand without a name of its own has the service's, which says nothing of the organization.
        self._names = {id_: brand.name for id_, brand in self._brands.items() if brand.name != policy.brand.name}

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
            (notification.kind,),
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
        content = _Content(alert.kind, variables, variables, (alert.kind,), alert.name, thread=thread)
        return self._mail(alert, content, email, now)

    def health_mail(self, health: HealthNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` that checks were missed, dated ``now``. Nobody can unsubscribe from it.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        variables = health_variables(health)
        content = _Content(HEALTH, variables, variables, (), health.name)
        return self._mail(health, content, email, now)

    def digest_mail(self, digest: DigestNotification, email: str, now: datetime) -> RenderedMail:
        """The mail telling ``email`` of many notifications at once, dated ``now``.

        A notification that cannot be listed is left out; the numbers stay what they are, and a warning says so.

        Raises:
            InvalidAddress: if ``email`` is none.
        """
        variables, warnings = digest_variables(digest, self._policy, self._names, now)
        thread = notification_id("thread", DIGEST, digest.mailbox, digest.lane)
        content = _Content(DIGEST, variables, variables, digest.kinds, digest.name, thread=thread, warnings=warnings)
        return self._mail(digest, content, email, now)

    def _mail(self, notification: Notification, content: _Content, email: str, now: datetime) -> RenderedMail:
        to = envelope_address(email)
        kind = _kind_in_ids(notification.kind)
        # A mail that went through no mailbox is its address's.
        scope = UnsubscribeScope(
            notification.mailbox or address_mailbox(to), content.kinds, notification.organization_id
        )
        unsubscribe = self._unsubscribe(notification.kind, scope, now) if content.kinds else ()
        brand = self._brands.get(notification.organization_id or "", self._policy.brand)
        links = self._policy.links
        of_the_mail: Variables = {
            "brand": brand,
            "unsubscribe_url": unsubscribe[0] if unsubscribe else None,
            "preferences_url": None if links is None else links.preferences.url(scope, now),
        }
        parts = self._parts(content, notification.organization_id, of_the_mail)
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
            list_unsubscribe=unsubscribe,
            references=(f"thread.{content.thread}@{host}",) if content.thread else (),
            machine_headers=(
                *_MACHINE_HEADERS,
                ("X-Notification-ID", notification.notification_id),
                *self._feedback_id(content.template),
            ),
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

    def _feedback_id(self, template: str) -> Iterator[tuple[str, str]]:
        """By what mail providers count complaints: never a kind, which a publisher names."""
        if self._policy.feedback_id is not None:
            yield "Feedback-ID", f"{template}:{self._policy.feedback_id}"

    def _unsubscribe(self, kind: str, scope: UnsubscribeScope, now: datetime) -> tuple[str, ...]:
        """The URLs that unsubscribe from mails like this, the one that needs only a click first."""
        urls = []
        if self._policy.links is not None:
            urls.append(self._policy.links.unsubscribe.url(scope, now))
        if self._policy.unsubscribe_mailto is not None:
            address = quote(self._policy.unsubscribe_mailto, safe="@")
            urls.append(f"mailto:{address}?subject=unsubscribe%20{_kind_in_ids(kind)}")
        return tuple(url for url in urls if url is not None)


def _kind_in_ids(kind: str) -> str:
    return _NOT_IN_ID.sub("-", kind)[:64]


def _wanted_subject(wanted: str | None, variables: Variables) -> tuple[str | None, str | None]:
    """The subject that a publisher wants (None: the template's), and a warning if it cannot be made."""
    if wanted is None:
        return None, None
    subject = format_subject(wanted, variables)
    return subject, None if subject else f"subject_template {wanted!r} cannot be filled in: the default subject is used"
