"""What the read model answers with. None: it is not known. Instants are aware, in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from streamnotify.domain.preferences import Preferences, Profile
from streamnotify.domain.status import Status
from streamnotify.wire.notification_status import NotificationStep

T = TypeVar("T")
_Count = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of a list. ``next`` is the cursor of those after them; None: there are no more."""

    items: tuple[T, ...]
    next: str | None = None


class Freshness(msgspec.Struct, frozen=True):
    """How far the read model is behind the topics.

    Everything that was published before ``caught_up_at`` is in it; ``behind_s`` is the time since then. Both are None
    while it is being built. ``behind_records`` is how many were missing when it was last looked.
    """

    caught_up_at: datetime | None
    behind_s: float | None
    behind_records: int


class Run(msgspec.Struct, frozen=True):
    """One run of a task, as its events say so far (SPEC section 3).

    ``created_at`` is what lists are sorted by: when it started, or as long as it has not when it was queued.
    ``is_over`` is False while it runs, and where an attempt has ended and another is to come. ``result`` is any JSON.
    """

    task_id: str
    task_name: str
    status: Status
    is_over: bool
    attempt: int
    created_at: datetime
    submitted_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    display_name: str | None = None
    organization_id: str | None = None
    user_id: str | None = None
    context_model: str | None = None
    context_type: str | None = None
    context_id: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    result: Any = None


class Monitor(msgspec.Struct, frozen=True):
    """A monitor: its name, and the record as people write one, with the tasks that one may see."""

    name: str
    record: dict[str, Any]


class MonitorResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """A check, see :class:`streamnotify.wire.monitor_result.MonitorResult`."""

    monitor: str
    verdict: str
    check_time: datetime
    evaluated_at: datetime
    task_name: str | None = None
    context_model: str | None = None
    context_type: str | None = None
    reason: str | None = None
    error: str | None = None
    current_status: str | None = None
    expected_statuses: tuple[str, ...] | None = None
    lookback_hours: int | float | None = None
    task_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    dependent_tasks: tuple[str, ...] | None = None
    notified: tuple[str, ...] | None = None
    count: _Count | None = None
    first: datetime | None = None
    last: datetime | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a notification, see :class:`streamnotify.wire.notification_status.NotificationStatus`."""

    notification_id: str
    status: NotificationStep
    at: datetime
    reason: str | None = None
    kind: str | None = None
    task_name: str | None = None
    task_id: str | None = None
    monitor: str | None = None
    to: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    digest_id: str | None = None
    count: _Count | None = None
    subject: str | None = None
    message_id: str | None = None
    attempt: _Count | None = None
    smtp_stage: str | None = None
    smtp_code: _Count | None = None
    next_at: datetime | None = None


class Notification(msgspec.Struct, frozen=True):
    """A notification, or a digest (of the kind notification_digest), as its steps say so far.

    ``status``, ``reason``, ``attempt`` and ``next_at`` are the newest step's (at ``at``), ``created_at`` is the first
    one's. ``count`` is how many a digest stands for. ``digest_id`` is the digest it waited for last; of a digest
    itself, or the one that took it over. ``digest_status`` is that one's: what became of one that is ``batched``.
    """

    notification_id: str
    status: NotificationStep
    created_at: datetime
    at: datetime
    reason: str | None = None
    kind: str | None = None
    task_name: str | None = None
    task_id: str | None = None
    monitor: str | None = None
    to: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    digest_id: str | None = None
    digest_status: str | None = None
    count: _Count | None = None
    subject: str | None = None
    message_id: str | None = None
    attempt: _Count | None = None
    next_at: datetime | None = None


class DigestItem(msgspec.Struct, frozen=True):
    """A notification of a digest, and of the run it is about what is still known."""

    notification: Notification
    run_status: Status | None = None
    display_name: str | None = None
    error_message: str | None = None


class DigestItems(msgspec.Struct, frozen=True):
    """Notifications of a digest, the newest first.

    ``listed`` is how many there are on all pages, ``total`` how many the digest's mail says; None: it has none yet.
    They differ only where the records of some have expired on their topic.
    """

    items: tuple[DigestItem, ...]
    listed: int
    total: int | None
    next: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that could not be used. ``id`` is as in ``streamnotify dead-letters``.

    ``value`` and ``key`` are their beginnings as text, ``size`` is the value's in bytes (None: it has none).
    """

    id: str
    failed_at: datetime
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    stage: str | None = None
    error_class: str | None = None
    reason: str | None = None
    field: str | None = None
    attempts: int | None = None
    replay_count: int | None = None
    organization_id: str | None = None
    key: str | None = None
    value: str | None = None
    size: int | None = None


class User(msgspec.Struct, frozen=True):
    """A person of the directory, as the record on ``users`` says last; ``published_at`` is when."""

    profile: Profile
    published_at: datetime


class PreferencesRecord(msgspec.Struct, frozen=True):
    """The latest record on ``user-preferences`` about a mailbox; ``key`` is its key, ``revision`` streamnotify's own.

    The person's record on ``users`` may say more: :mod:`streamnotify.domain.preferences` puts both together.
    """

    key: str
    preferences: Preferences
    revision: int | None
    published_at: datetime
