"""The one mail of a run: whether it goes, and what it says (SPEC sections 3 and 4)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY
from streamnotify.domain.error_messages import both_ends
from streamnotify.domain.notifications import (
    DIGEST,
    SuppressionReason,
    TaskNotification,
    is_placeholder,
    notification_id,
)
from streamnotify.domain.runs import Facts, Notify, RunError, Step, started_at, wants_mail
from streamnotify.domain.status import MAILED_OUTCOMES, MailedOutcome

DEFAULT_KIND = "task_completion"

# What is only ours to send: it has rights that no publisher may take, such as not to be turned off.
RESERVED_KINDS = frozenset((ALERT, RECOVERY, HEALTH, DIGEST))

# Keys of a result that are ours to say (SPEC 2.1).
RESERVED_VARIABLES = frozenset(
    (
        "status",
        "error_message",
        "recipient_name",
        "recipient_email",
        "task_id",
        "task_name",
        "organization_id",
        "frontend_url",
        "execution_time",
        "completed_at",
    )
)
# Where ingest notes which keys it dropped from a result that was too large.
DROPPED_KEYS = "_dropped_keys"

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_INT64 = range(-(2**63), 2**64)  # what msgpack can carry


class MailDecision(NamedTuple):
    """A run's notification and, if it is not to be sent, why."""

    notification: TaskNotification
    suppressed: SuppressionReason | None


def decide_mail(
    task_name: str, task_id: str, facts: Facts, end: Step, placeholder_domains: Collection[str]
) -> MailDecision | None:
    """What becomes of the mail about ``end``, given all that is known now. None: nobody has opted in yet."""
    notify = wants_mail(facts)
    if notify is None:
        return None
    notification = _notification(task_name, task_id, facts, end, notify)
    return MailDecision(notification, _suppression(notification, notify, end, placeholder_domains))


def _suppression(
    notification: TaskNotification, notify: Notify, end: Step, placeholder_domains: Collection[str]
) -> SuppressionReason | None:
    outcome = "failure" if notification.status == MailedOutcome.FAILED else notification.status
    if outcome not in notify.on:
        return SuppressionReason.NOT_IN_ON
    if end.stale:
        return SuppressionReason.STALE
    if notification.user_id is not None:  # the directory has the address, and the say
        return None
    if notification.email is None:
        return SuppressionReason.NO_RECIPIENT
    return SuppressionReason.PLACEHOLDER_ADDRESS if is_placeholder(notification.email, placeholder_domains) else None


def _notification(task_name: str, task_id: str, facts: Facts, end: Step, notify: Notify) -> TaskNotification:
    outcome = MAILED_OUTCOMES[end.status]
    kind = notify.template if notify.template and notify.template not in RESERVED_KINDS else DEFAULT_KIND
    error: RunError | None = _newest(facts, "error")
    return TaskNotification(
        notification_id=notification_id(kind, task_name, task_id),
        kind=kind,
        task_name=task_name,
        task_id=task_id,
        status=outcome.value,
        completed_at=end.finished_at or end.occurred_at,
        template=notify.template,
        subject_template=notify.subject_template,
        display_name=_newest(facts, "display_name"),
        duration_s=_duration_s(facts, end),
        # A success may follow failed attempts; their error is not what this mail is about.
        error_message=_mailed_message(error) if error is not None and outcome != MailedOutcome.SUCCESS else None,
        organization_id=_newest(facts, "organization_id"),
        user_id=_newest(facts, "user_id"),
        email=notify.email,
        name=notify.name,
        urgent=notify.urgent,
        variables=template_variables(_newest(facts, "result")),
    )


def _newest(facts: Facts, field: str) -> Any:
    """What the newest event says of ``field`` that says anything, else None."""
    for details in facts.details:
        value = getattr(details, field)
        if value is not None:
            return value
    return None


def _duration_s(facts: Facts, end: Step) -> float | None:
    """How long the run took in seconds, None if only its end is known."""
    if end.duration_s is not None:
        return end.duration_s
    start, finish = started_at(facts), end.finished_at or end.occurred_at
    return (finish - start).total_seconds() if start is not None and start < min(finish, end.occurred_at) else None


def _mailed_message(error: RunError) -> str | None:
    if error.message is None:
        return None
    return both_ends(_CONTROLS.sub("", error.message.replace("\r\n", "\n")).strip()) or None


def template_variables(result: str | None) -> dict[str, Any]:
    """The keys of a result (JSON text) that templates may use: not the reserved ones, and no nulls."""
    values = None if result is None else json.loads(result, parse_int=_carried_int)
    if not isinstance(values, dict):
        return {}
    hidden = RESERVED_VARIABLES | {DROPPED_KEYS}
    return {name: value for name, value in values.items() if value is not None and name not in hidden}


def _carried_int(digits: str) -> int | str:
    """An integer, as its digits where it is too large for a command; a mail shows both alike."""
    if len(digits) > 20:  # also far below the length at which Python refuses to convert
        return digits
    value = int(digits)
    return value if value in _INT64 else digits
