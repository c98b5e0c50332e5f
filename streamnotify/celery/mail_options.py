"""How a task says that somebody is told how it ends: the options its decorator leaves on it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from streamnotify.domain.status import Status
from streamnotify.sdk.event import Notify, TaskEvent

ATTRIBUTE = "streamnotify_mail"
OUTCOMES = {Status.COMPLETED: "success", Status.STOPPED: "failure", Status.CANCELLED: "cancelled"}
_MAILED = ("success", "failure")  # unless the task says otherwise (SPEC 2.1)


class EmailTemplate(enum.StrEnum):
    """The templates that come with streamnotify; one of your own is named by a plain string."""

    TASK_COMPLETION = "task_completion"
    TEST_EXECUTION_SUMMARY = "test_execution_summary"


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What ``@email_notification`` was told.

    Args:
        notify: as in the event.
        display_name: shown beside the task's name.
        on_chord_error: as a chord's body, tell about a member that failed, since the body will never run.
    """

    notify: Notify
    display_name: str | None = None
    on_chord_error: bool = False


def mail_options(task: Any) -> MailOptions | None:
    """A task's options; None: nobody is told about it. ``task`` may be None: it is not known in this process."""
    options = getattr(task, ATTRIBUTE, None)
    return options if isinstance(options, MailOptions) and not getattr(task, "never_mails", False) else None


def is_mailed(event: TaskEvent) -> bool:
    """Whether somebody is told about an end."""
    return event.notify is not None and OUTCOMES.get(event.status) in (event.notify.on or _MAILED)
