"""What a deployment that tells many people much leaves on notification-status: whole ways of notifications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.domain.notifications import DIGEST, notification_id

ORGANIZATIONS = 50
TASKS = 1_000
PEOPLE = 20_000
PER_DIGEST = 20  # notifications
RARE_ORGANIZATION = "org-rare"  # of one in RARE notifications
RARE = 20_000
BIG_DIGEST = "big-digest"  # one in BIG notifications waits in it
BIG = 50
_DIGESTED = 4  # every fourth notification is told in a digest

Record = tuple[str, bytes]


def records(count: int, until: datetime | None = None) -> Iterator[Record]:
    """Keys and values of so many notifications, digests not counted, one way after another.

    Three steps each (accepted, queued, sent; some deferred, suppressed or failed), or two and those of their digest.
    They are spread over the 20 days before ``until``, by default now.
    """
    until = until or datetime.now(UTC)
    each = timedelta(days=20) / count
    for number in range(count):
        yield from _notification(number, until - (count - number) * each)
        if number % (_DIGESTED * PER_DIGEST) == 0 and number:
            yield from _mail(_digest(number), {"kind": DIGEST, "count": PER_DIGEST}, number, until)


def name_of(number: int) -> str:
    """The id of a notification."""
    return notification_id("task_completion", str(number))


def _digest(number: int) -> str:
    return notification_id(DIGEST, str(number // (_DIGESTED * PER_DIGEST)))


def _notification(number: int, at: datetime) -> Iterator[Record]:
    about = {
        "kind": "task_status_alert" if number % 25 == 0 else "task_completion",
        "task_name": f"pipelines.customer_sync_{number % TASKS:04d}.load",
        "task_id": f"run-{number:010d}",
        "user_id": f"user-{number % PEOPLE:05d}",
        "organization_id": RARE_ORGANIZATION if number % RARE == 0 else f"org-{number % ORGANIZATIONS:03d}",
    }
    yield _step(name_of(number), about, "accepted", at)
    told = about | {"to": f"user-{number % PEOPLE:05d}@example.com"}
    if number % BIG == 1:
        yield _step(name_of(number), told, "batched", at, digest_id=BIG_DIGEST)
    elif number % _DIGESTED == 0:
        yield _step(name_of(number), told, "batched", at, digest_id=_digest(number))
    elif number % 101 == 0:
        yield _step(name_of(number), told, "suppressed", at, reason="opted_out_user")
    else:
        yield from _mail(name_of(number), told, number, at)


def _mail(name: str, about: dict[str, Any], number: int, at: datetime) -> Iterator[Record]:
    """The way of a mail."""
    mail: dict[str, Any] = {"subject": f"Task Completed: run {number}", "message_id": f"<1.{name}@mail.example.com>"}
    if about["kind"] == DIGEST:
        mail["digest_id"] = name
    yield _step(name, about, "queued", at, **mail)
    end = "failed" if number % 211 == 0 else "sent"
    mail |= {"attempt": 1, "smtp_stage": "dot", "smtp_code": 250 if end == "sent" else 550}
    yield _step(name, about, end, at + timedelta(seconds=1), **mail)


def _step(name: str, about: dict[str, Any], status: str, at: datetime, **more: Any) -> Record:
    return name, json.dumps({"notification_id": name, "status": status, **about, **more, "at": at.isoformat()}).encode()
