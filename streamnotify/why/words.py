"""What each step of a notification means, and what can be done about it, in words for a person."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime

from streamnotify.domain.delivery import SUPERSEDED
from streamnotify.domain.notifications import DIGEST, SuppressionReason
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep

# With fields of the step, and "who": what `mailbox show` is asked for.
SUPPRESSED = {
    SuppressionReason.NO_RECIPIENT: (
        "there is nobody to write to: the event named neither notify.email nor a user_id that the topic users has with "
        "an address"
    ),
    SuppressionReason.PLACEHOLDER_ADDRESS: (
        "nobody reads what is sent to a domain of STREAMNOTIFY_PLACEHOLDER_DOMAINS; the address comes from "
        "notify.email or the topic users"
    ),
    SuppressionReason.INVALID_ADDRESS: (
        "no mail can be written to this address: correct it where it comes from, notify.email or the topic users"
    ),
    SuppressionReason.UNVERIFIED: (
        "the person's address is not verified: email_verified is false on the topic users; see "
        "`streamnotify mailbox show {who}`"
    ),
    SuppressionReason.INACTIVE: (
        "the person is not active any more: is_active is false on the topic users, or the user was deleted "
        "while the mail waited in the outbox; see `streamnotify mailbox show {who}`"
    ),
    SuppressionReason.OPTED_OUT_USER: (
        "this person wants no mails at all: email is false on users or user-preferences; "
        "`streamnotify mailbox show {who}` says which"
    ),
    SuppressionReason.OPTED_OUT_ORGANIZATION: (
        "this person wants no mails of organization {organization_id}: it is false on users or user-preferences; "
        "`streamnotify mailbox show {who}` says which"
    ),
    SuppressionReason.OPTED_OUT_KIND: (
        "this person has turned off {kind}: it is false on users or user-preferences; "
        "`streamnotify mailbox show {who}` says which"
    ),
    SuppressionReason.ORGANIZATION_OFF: (
        "the mails of organization {organization_id} are switched off: the record organization:{organization_id} on "
        "user-preferences says email false"
    ),
    SuppressionReason.CROSS_ORGANIZATION: (
        "the event is of organization {organization_id}, and the person is no member of it: organizations on the topic "
        "users; see `streamnotify mailbox show {who}`"
    ),
    SuppressionReason.STALE: (
        "the event was published longer than STREAMNOTIFY_MAX_EVENT_AGE after it happened: it counts, but is not mailed"
    ),
    SuppressionReason.NOT_IN_ON: (
        "the task's notify does not ask for a mail about this outcome: its `on` is success and failure unless it says "
        "otherwise"
    ),
    SuppressionReason.SUPPRESSED_ADDRESS: (
        "the address gets no mail, because mails came back, its person complained, or by hand: "
        "`streamnotify suppressions list` says why, `streamnotify suppressions remove {to}` ends it"
    ),
    SuppressionReason.SMTP_NOT_CONFIGURED: (
        "there was no relay to send it with: set SMTP_HOST and SMTP_FROM; `streamnotify config --check` tries them"
    ),
    SuppressionReason.SILENCED: "a silence was in force",
    SuppressionReason.READ: "it was seen elsewhere before its digest went: read on notification-feedback",
}

_USER_WITHOUT_ADDRESS = (
    "there is nobody to write to: the topic users has no user {user_id} with an address; see "
    "`streamnotify mailbox show {who}`"
)


def meaning(step: NotificationStatus) -> str:
    """What has happened in this step, and why."""
    return _MEANINGS[step.status](step)


def utc(at: datetime | None) -> str:
    """An instant as every line shows it."""
    return "?" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _accepted(step: NotificationStatus) -> str:
    return f"somebody is to be told: {_recipient(step)}"


def _held(step: NotificationStatus) -> str:
    until = utc(step.next_at)
    return f"the topic users has no user {step.user_id} (yet), and no address was given: waited for until {until}"


def _batched(step: NotificationStatus) -> str:
    if step.count is not None:
        return f"its {step.count} notification(s) wait in digest {step.digest_id}, flushed at {utc(step.next_at)}"
    of = f" of {step.to}" if step.to else ""
    return f"waits in digest {step.digest_id}{of}, flushed at {utc(step.next_at)} unless more comes"


def _suppressed(step: NotificationStatus) -> str:
    reason = str(step.reason)
    if step.kind == DIGEST and step.message_id is not None and reason != SuppressionReason.SUPPRESSED_ADDRESS:
        return f"{reason}: its mail does not go, since some of it is not wanted any more"
    try:
        why = SUPPRESSED[SuppressionReason(reason)]
    except ValueError:
        why = "no reason that this release knows"
    if reason == SuppressionReason.NO_RECIPIENT and step.user_id is not None:
        why = _USER_WITHOUT_ADDRESS
    given = {name: value for name, value in step.model_dump().items() if value is not None}
    if step.kind == DIGEST:
        del given["kind"]  # what was dropped from it is of another one
    who = step.user_id or step.to
    words = why.format_map(_NOT_RECORDED | given | {"who": shlex.quote(who) if who else "USER"})
    some = "" if step.count is None else f"{step.count} notification(s) of it, "
    return f"{some}{reason}: {words}"


_NOT_RECORDED = {"kind": "this kind", "organization_id": "(not recorded)", "to": "ADDRESS"}


def _queued(step: NotificationStatus) -> str:
    return f"the mail to {step.to} is written and in the outbox: {step.subject}"


def _sent(step: NotificationStatus) -> str:
    if step.attempt is None:
        return f"the mail server reports that it has reached {step.to or 'the recipient'}{_reason(step)}"
    return f"the relay took it for {step.to}{_at_attempt(step)}"


def _deferred(step: NotificationStatus) -> str:
    if step.attempt is None:
        return f"the mail server could not deliver it yet{_reason(step)}"
    again = f"tried again at {utc(step.next_at)}"
    return f"not yet{_at_attempt(step)}{_reply(step)}; {again}. `streamnotify send-test` tries the relay"


def _failed(step: NotificationStatus) -> str:
    if step.attempt is None:
        return f"the mail server gave it up after it had taken it{_reason(step)}"
    return f"refused for good{_at_attempt(step)}{_reply(step)}; the worker's log has the relay's words"


def _bounced(step: NotificationStatus) -> str:
    return f"it came back from {step.to or 'the recipient'}{_reason(step)}; see `streamnotify suppressions list`"


def _complained(step: NotificationStatus) -> str:
    return f"{step.to or 'its recipient'} has called it unwanted, so nothing more goes there"


def _expired(step: NotificationStatus) -> str:
    if step.reason == SUPERSEDED:
        return f"not sent late{_at_attempt(step)}: a later mail says the opposite"
    return f"not delivered within STREAMNOTIFY_MAIL_MAX_AGE{_at_attempt(step)}{_reply(step)}: given up"


_MEANINGS: dict[NotificationStep, Callable[[NotificationStatus], str]] = {
    NotificationStep.ACCEPTED: _accepted,
    NotificationStep.HELD: _held,
    NotificationStep.BATCHED: _batched,
    NotificationStep.SUPPRESSED: _suppressed,
    NotificationStep.QUEUED: _queued,
    NotificationStep.SENT: _sent,
    NotificationStep.DEFERRED: _deferred,
    NotificationStep.FAILED: _failed,
    NotificationStep.BOUNCED: _bounced,
    NotificationStep.COMPLAINED: _complained,
    NotificationStep.EXPIRED: _expired,
}


def _recipient(step: NotificationStatus) -> str:
    if step.user_id:
        return f"user {step.user_id}"
    return step.to or "whoever the superusers are"


def _at_attempt(step: NotificationStatus) -> str:
    return f", attempt {step.attempt}" if step.attempt else ""


def _reply(step: NotificationStatus) -> str:
    """Stage, code and reason of an attempt, as far as they are known."""
    stage = f" at the stage {step.smtp_stage}" if step.smtp_stage else ""
    code = f" with {step.smtp_code}" if step.smtp_code else ""
    return f"{stage}{code}{_reason(step)}"


def _reason(step: NotificationStatus) -> str:
    return f" ({step.reason})" if step.reason else ""
