"""The errors of streamnotify, grouped by what the caller does about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class StreamnotifyError(Exception):
    """Root of every error this package raises on purpose."""


class SettingsError(StreamnotifyError):
    """A setting is wrong; the start is refused with name, value and what is allowed."""


class TopicsError(StreamnotifyError):
    """Topics are missing or wrong; the start is refused with the command to run."""


class StateError(StreamnotifyError):
    """State and topics do not belong together any more; the start is refused with the command to run."""


class BadRecord(StreamnotifyError):
    """A record that can never be used. The engine dead-letters it and goes on.

    Args:
        reason: what is wrong and what is allowed, in words for a person.
        field: path of the offending field (``notify.email``), or None if the record as a whole is wrong.
        told: what else is emitted about it, beside the dead letter: topic, key and record.
    """

    def __init__(
        self, reason: str, field: str | None = None, *, told: Sequence[tuple[Any, str | None, Any]] = ()
    ) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field
        self.told = told


class LeaseLost(StreamnotifyError):
    """This worker may no longer own the partition: nothing more may be written or sent for it."""


class EngineFailure(StreamnotifyError):
    """The ground under the engine is gone (disk, broker, fence). The engine process ends and is restarted."""
