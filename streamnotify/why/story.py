"""The whole way of a notification, pieced together from its steps and those of the digests it lay in."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from streamnotify.domain.notifications import DIGEST
from streamnotify.why.words import meaning, utc
from streamnotify.wire.notification_status import NotificationStatus, NotificationStep

Steps = Mapping[str, Sequence[NotificationStatus]]
"""Steps by notification id, in the order of time."""

_QUIET = timedelta(minutes=5)  # a worker that runs has done its next step by then


class Outcome(enum.StrEnum):
    """How a notification stands."""

    SENT = "sent"
    ON_ITS_WAY = "on its way"
    NOT_SENT = "not sent"


_OUTCOMES = {
    NotificationStep.ACCEPTED: Outcome.ON_ITS_WAY,
    NotificationStep.HELD: Outcome.ON_ITS_WAY,
    NotificationStep.BATCHED: Outcome.ON_ITS_WAY,
    NotificationStep.QUEUED: Outcome.ON_ITS_WAY,
    NotificationStep.DEFERRED: Outcome.ON_ITS_WAY,
    NotificationStep.SENT: Outcome.SENT,
    NotificationStep.COMPLAINED: Outcome.SENT,
    NotificationStep.SUPPRESSED: Outcome.NOT_SENT,
    NotificationStep.FAILED: Outcome.NOT_SENT,
    NotificationStep.BOUNCED: Outcome.NOT_SENT,
    NotificationStep.EXPIRED: Outcome.NOT_SENT,
}


@dataclass(frozen=True, slots=True)
class Story:
    """One notification or digest. ``digests`` are those its ``steps`` name, in that order, each once.

    ``outcome`` is that of the mail it was in the end told in; ``decided_by`` is the step that says so.
    """

    notification_id: str
    steps: tuple[NotificationStatus, ...]
    digests: tuple[Story, ...]
    outcome: Outcome
    decided_by: NotificationStatus


def story(notification_id: str, steps: Steps, within: frozenset[str] = frozenset()) -> Story:
    """The story of a notification that has steps.

    Args:
        notification_id: of a notification or a digest.
        steps: its own, and those of the digests that are named in them.
        within: the digests it is told within, which are not told again.
    """
    own = tuple(steps[notification_id])
    within |= {notification_id}
    digests = tuple(
        story(digest_id, steps, within)
        for digest_id in digests_of(own)
        if digest_id not in within and steps.get(digest_id)
    )
    decided_by = _decided_by(own, digests)
    return Story(notification_id, own, digests, _OUTCOMES[decided_by.status], decided_by)


def digests_of(steps: Collection[NotificationStatus]) -> list[str]:
    """The digests that steps name, in their order, each once."""
    return list(dict.fromkeys(step.digest_id for step in steps if step.digest_id is not None))


def lines(told: Story, now: datetime) -> Iterator[str]:
    """A story for a person, in the order of time; each digest's steps stand below the step that first names it."""
    yield _headline(told)
    yield from _steps(told, "  ")
    yield f"  => {_conclusion(told, now)}"


def described(told: Story) -> dict[str, Any]:
    """A story for a script."""
    return {
        "notification_id": told.notification_id,
        "outcome": told.outcome.value,
        "steps": [{**step.model_dump(mode="json", exclude_none=True), "meaning": meaning(step)} for step in told.steps],
        "digests": [described(digest) for digest in told.digests],
    }


def _decided_by(own: Sequence[NotificationStatus], digests: Sequence[Story]) -> NotificationStatus:
    """The step by which it is known what became of it."""
    whole = [step for step in own if not _is_partial_drop(step)]
    last = whole[-1] if whole else own[-1]
    if last.status is not NotificationStep.BATCHED:
        return last
    digest = next((each for each in digests if each.notification_id == last.digest_id), None)
    if digest is None:
        return last
    return next((drop for drop in _drops([digest]) if _is_about(drop, own)), digest.decided_by)


def _drops(digests: Iterable[Story]) -> Iterator[NotificationStatus]:
    for digest in digests:
        yield from (step for step in digest.steps if _is_partial_drop(step))
        yield from _drops(digest.digests)


def _is_partial_drop(step: NotificationStatus) -> bool:
    """Whether it is about some of a digest's notifications, which are not sent; else it is about its mail."""
    return step.status is NotificationStep.SUPPRESSED and step.count is not None and step.message_id is None


def _unless_dropped(told: Story) -> str:
    """A caveat: of a digest's notifications that it did not keep, only the number of the dropped is recorded."""
    unnamed = sum(drop.count or 0 for drop in _drops(told.digests) if not _says_of_which(drop))
    return f", unless it is one of the {unnamed} that were taken out of the digest" if unnamed else ""


def _is_about(drop: NotificationStatus, own: Sequence[NotificationStatus]) -> bool:
    """Whether a drop of an organization's notifications of a kind is about the one whose steps these are."""
    which = (drop.kind, drop.organization_id)
    return _says_of_which(drop) and any((step.kind, step.organization_id) == which for step in own)


def _says_of_which(drop: NotificationStatus) -> bool:
    """Whether it names the kind of what was dropped."""
    return drop.kind not in (None, DIGEST)


def _headline(told: Story) -> str:
    def said(field: str) -> str | None:
        return next((str(value) for step in told.steps if (value := getattr(step, field)) is not None), None)

    parts = [f"{said('kind') or 'notification'} {told.notification_id}"]
    for field, words in (("monitor", "of monitor"), ("task_name", "about task"), ("task_id", "run")):
        if (value := said(field)) is not None:
            parts.append(f"{words} {value}")
    recipients = [value for value in (said("user_id"), said("to")) if value is not None]
    if recipients:
        parts.append(f"for {', '.join(recipients)}")
    return " ".join(parts)


def _steps(told: Story, indent: str) -> Iterator[str]:
    left = {digest.notification_id: digest for digest in told.digests}
    for step in told.steps:
        yield f"{indent}{utc(step.at)}  {step.status}: {meaning(step)}"
        digest = left.pop(step.digest_id or "", None)
        if digest is not None:
            yield f"{indent}  digest {digest.notification_id}:"
            yield from _steps(digest, f"{indent}    ")


def _conclusion(told: Story, now: datetime) -> str:
    step = told.decided_by
    through = "" if step in told.steps else " in its digest"
    if told.outcome is Outcome.SENT:
        return f"sent{through} at {utc(step.at)}{_unless_dropped(told) if through else ''}"
    if told.outcome is Outcome.NOT_SENT:
        word = "not sent" if step.status is NotificationStep.SUPPRESSED else f"not delivered ({step.status})"
        return f"{word}{through}: {step.reason or 'see above'}, at {utc(step.at)}"
    expected = max(step.next_at or step.at, step.at)
    if step.status is NotificationStep.BATCHED:
        who = shlex.quote(step.user_id or step.to or "USER")
        return (
            f"waits for its digest until {utc(expected)} or later, and is dropped then if it is refused by that time: "
            f"`streamnotify mailbox show {who}` says when, and what is refused"
        )
    if now - expected > _QUIET:
        return (
            f"on its way, but nothing has happened since {utc(step.at)}: is `streamnotify worker` running, and ready?"
        )
    return f"on its way{through}"
