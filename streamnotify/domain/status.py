"""The statuses of a task run, under every name they arrive by (SPEC section 1)."""

from __future__ import annotations

import enum
from typing import Self


class Rank(enum.IntEnum):
    """How far an attempt of a run has come; of two statuses of one attempt the higher rank is the state."""

    PENDING = 0
    QUEUED = 1
    RUNNING = 2
    ATTEMPT_ENDED = 3  # an end with final=false: this attempt is over, the run is not
    PRESUMED_END = 4  # nobody reported it: the worker was lost. Any reported end is better knowledge
    ENDED = 5
    INVALIDATED = 6


class Status(enum.StrEnum):
    """What a task run is observed to be. ``Status(text)`` takes any letter case and Celery's names.

    Raises:
        ValueError: (by the call) if the text names no status.
    """

    rank: Rank

    # The default is never used: it lets a type checker see that Status(name) looks a member up.
    def __new__(cls, name: str, rank: Rank = Rank.PENDING) -> Self:
        status = str.__new__(cls, name)
        status._value_ = name
        status.rank = rank
        return status

    PENDING = "Pending", Rank.PENDING
    QUEUED = "Queued", Rank.QUEUED
    RUNNING = "Running", Rank.RUNNING
    COMPLETED = "Completed", Rank.ENDED
    STOPPED = "Stopped", Rank.ENDED
    CANCELLED = "Cancelled", Rank.ENDED
    INVALIDATED = "Invalidated", Rank.INVALIDATED

    @classmethod
    def _missing_(cls, value: object) -> Status | None:
        return STATUS_NAMES.get(value.lower()) if isinstance(value, str) else None


# Every accepted name in lower case: our own, then Celery's and the mails' words.
STATUS_NAMES: dict[str, Status] = {status.value.lower(): status for status in Status} | {
    "received": Status.QUEUED,
    "retry": Status.QUEUED,
    "started": Status.RUNNING,
    "success": Status.COMPLETED,
    "failure": Status.STOPPED,
    "failed": Status.STOPPED,
    "rejected": Status.STOPPED,
    "revoked": Status.CANCELLED,
}


class MailedOutcome(enum.StrEnum):
    """How a run ended, in the words mails use."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


MAILED_OUTCOMES: dict[Status, MailedOutcome] = {
    Status.COMPLETED: MailedOutcome.SUCCESS,
    Status.STOPPED: MailedOutcome.FAILED,
    Status.CANCELLED: MailedOutcome.CANCELLED,
}
