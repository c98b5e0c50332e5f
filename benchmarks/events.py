"""The events all are measured with: task events of exactly 600 bytes of JSON, as a publisher would write them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

SIZE = 600  # bytes of a record's value
TASK_NAMES = 1_000
STEPS = ("Pending", "Queued", "Running", "Completed")

_USER = '"user_id":"user-%05d",'
_START = (
    '{"task_name":"%s","task_id":"%s","status":"%s","event_id":"%s","occurred_at":"%s","attempt":1,'
    '"context":{"model":"gap.models.IngestorSession","type":"Hourly Tomorrow.io","id":"%d"},'
    '"organization_id":"org-%03d",%s"source":"gap/prod",'
    '"producer":{"sdk":"streamnotify","version":"1.4.2","host":"worker-7","pid":4711,"seq":%d},'
)
_RESULT = '"result":{"rows_loaded":18234,"rows_rejected":12},'
_END = '"progress":{"percent":%d,"text":"%s"}}'


class Event(NamedTuple):
    """One record of task-events, and what it may be keyed by."""

    task_name: str
    task_id: str
    value: bytes


def events(count: int, *, per_run: int = len(STEPS)) -> Iterator[Event]:
    """So many events of silent tasks, those of a run one after another.

    Args:
        count: how many.
        per_run: 4 for whole runs (Pending, Queued, Running, Completed), 1 for Completed events of distinct runs.
    """
    steps = STEPS[-per_run:]
    began = datetime.fromtimestamp(time.time() - count / 1000, UTC)
    namespace = uuid.uuid4().hex[:12]
    for number in range(count):
        run, step = divmod(number, per_run)
        name = f"pipelines.customer_sync_{run % TASK_NAMES:04d}.load"
        at = (began + timedelta(milliseconds=number)).isoformat(timespec="milliseconds")
        yield event(name, f"{namespace}-{run:010d}", steps[step], at, number)


def event(task_name: str, task_id: str, status: str, occurred_at: str, number: int) -> Event:
    """One event of a silent task, of exactly SIZE bytes; ``number`` makes its ids its own."""
    return Event(task_name, task_id, _value(task_name, task_id, status, occurred_at, number, _USER % (number % 20_000)))


def mailing(task_id: str, email: str | None, number: int) -> bytes:
    """A Completed event that happens now, of exactly SIZE bytes; with an address, one that asks for a mail.

    It names no user, so that its mail goes to its address at once: one of a user whom the directory does not know
    takes one more hop.

    Args:
        task_id: of a run of its own.
        email: who is told; None for a silent one.
        number: makes its ids its own.
    """
    name = f"pipelines.customer_sync_{number % TASK_NAMES:04d}.load"
    asks = "" if email is None else f'"notify":{{"email":"{email}","name":"Ann"}},"duration_s":165.2,'
    return _value(name, task_id, "Completed", datetime.now(UTC).isoformat(timespec="milliseconds"), number, asks)


def _value(task_name: str, task_id: str, status: str, occurred_at: str, number: int, more: str) -> bytes:
    event_id, completed = f"{task_id}-{number:010d}", status == "Completed"
    ids = (event_id, occurred_at, number % 9_000, number % 40, more, number)
    start = _START % (task_name, task_id, status, *ids) + (_RESULT if completed else "")
    percent = 100 if completed else 0
    room = SIZE - len(start) - len(_END % (percent, ""))
    return (start + _END % (percent, "." * room)).encode()
