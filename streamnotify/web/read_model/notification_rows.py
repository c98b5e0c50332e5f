"""A notification as the file keeps it: all its steps, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from streamnotify.domain.notifications import DIGEST
from streamnotify.web.read_model.answers import Notification, Step
from streamnotify.web.read_model.instants import instant, micros
from streamnotify.wire.notification_status import NotificationStep

MOST_STEPS = 300  # of one notification; of more the last ones are kept


class StoredStep(msgspec.Struct, frozen=True, array_like=True):
    """A step, and where it lies. The fields from ``status`` on are those of Step, in its order."""

    offset: int
    partition: int
    status: NotificationStep
    at: int
    reason: str | None = None
    kind: str | None = None
    task_name: str | None = None
    task_id: str | None = None
    monitor: str | None = None
    to: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    digest_id: str | None = None
    count: int | None = None
    subject: str | None = None
    message_id: str | None = None
    attempt: int | None = None
    smtp_stage: str | None = None
    smtp_code: int | None = None
    next_at: int | None = None

    @property
    def is_partial_drop(self) -> bool:
        """Whether it says that some of a digest's notifications are not sent, and nothing about the digest's mail."""
        return (
            self.status is NotificationStep.SUPPRESSED
            and self.count is not None
            and self.message_id is None
            and self.kind not in (None, DIGEST)
        )


_INDEXED = ("kind", "task_name", "task_id", "monitor", "to", "user_id", "organization_id", "digest_id")
_NAMES = (*_INDEXED, "count", "subject", "message_id")
_FOUND_BY, _SHOWN = attrgetter(*_INDEXED), attrgetter(*_NAMES)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[StoredStep, ...]).decode


def stored(step: Step, partition: int, offset: int) -> StoredStep:
    """A step as it is kept.

    Raises:
        TypeError: if one of its instants has no zone.
    """
    _, status, at, *rest, next_at = msgspec.structs.astuple(step)
    fields = [offset, partition, status, micros(at), *rest, None if next_at is None else micros(next_at)]
    return StoredStep(*fields)


def merged(known: bytes | None, new: Iterable[StoredStep]) -> tuple[StoredStep, ...]:
    """The steps that are kept, in the order of the log, in which causes stand before effects.

    A repeated step counts once, where it came first: after a crash the engine writes some again.
    """
    steps: dict[tuple[Any, ...], StoredStep] = {}
    for step in (*(_decode(known) if known else ()), *new):
        same = msgspec.structs.astuple(step)[2:]
        earlier = steps.get(same)
        if earlier is None or (step.offset, step.partition) < (earlier.offset, earlier.partition):
            steps[same] = step
    return tuple(sorted(steps.values(), key=lambda step: (step.offset, step.partition)))[-MOST_STEPS:]


def encoded(steps: Sequence[StoredStep]) -> bytes:
    """The steps as :func:`merged` reads them."""
    return _encode(steps)


def columns(notification_id: str, steps: Sequence[StoredStep]) -> tuple[Any, ...]:
    """created_at, status, kind, task_name, task_id, monitor, address, user_id, organization_id, digest_id."""
    created_at = min(step.at for step in steps)
    whole = _about_the_whole(steps)
    if not whole:  # a digest of which everything was dropped
        return created_at, steps[-1].status.value, DIGEST, None, None, None, None, None, None, notification_id
    kind, task_name, task_id, monitor, address, *rest = _said(whole, _FOUND_BY)
    return created_at, whole[-1].status.value, kind, task_name, task_id, monitor, address and address.lower(), *rest


def steps_in(notification_id: str, data: bytes) -> tuple[Step, ...]:
    """The steps in the order of time."""
    ordered = sorted(_decode(data), key=lambda step: (step.at, step.offset))
    return tuple(_step(notification_id, step) for step in ordered)


def notification_in(notification_id: str, data: bytes, digest_status: str | None = None) -> Notification:
    """What the steps come to."""
    steps = _decode(data)
    whole = _about_the_whole(steps)
    newest = whole[-1] if whole else steps[-1]
    about = dict(zip(_NAMES, _said(whole, _SHOWN), strict=True)) if whole else {}
    return Notification(
        notification_id=notification_id,
        status=newest.status,
        created_at=instant(min(step.at for step in steps)),
        at=instant(newest.at),
        reason=newest.reason,
        attempt=newest.attempt,
        next_at=instant(newest.next_at),
        digest_status=digest_status,
        **(about or {"kind": DIGEST, "digest_id": notification_id}),
    )


def drops_in(data: bytes) -> set[tuple[str, str | None]]:
    """The kinds and organizations of which a digest has dropped all its notifications.

    A flush decides about all of a kind and organization alike (:mod:`streamnotify.stations.flushes`), and so it says
    enough to know which those are that it does not name.
    """
    return {(step.kind or "", step.organization_id) for step in _decode(data) if step.is_partial_drop}


def _about_the_whole(steps: Sequence[StoredStep]) -> Sequence[StoredStep]:
    return [step for step in steps if step.count is None or not step.is_partial_drop]


def _said(steps: Sequence[StoredStep], fields: Callable[[StoredStep], tuple[Any, ...]]) -> Sequence[Any]:
    """Of each of the fields what the newest step says that says anything."""
    said: Sequence[Any] = fields(steps[-1])
    for step in steps[-2::-1]:
        said = [known if known is not None else older for known, older in zip(said, fields(step), strict=True)]
    return said


def _step(notification_id: str, step: StoredStep) -> Step:
    _, _, status, at, *rest, next_at = msgspec.structs.astuple(step)
    fields = [notification_id, status, instant(at), *rest, instant(next_at)]
    return Step(*fields)
