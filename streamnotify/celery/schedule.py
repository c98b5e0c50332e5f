"""The name of beat's entry on every task it starts: the header django-celery-beat sets, for all schedulers."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

_entry: ContextVar[str | None] = ContextVar("streamnotify_beat_entry", default=None)


def entry_under_way() -> str | None:
    """The entry that beat is publishing a task for, if it is."""
    return _entry.get()


def watch(scheduler: Any) -> None:
    """Know from here on which entry a ``celery.beat.Scheduler`` publishes. Doing so twice does no harm.

    There is no signal for it, and an entry's own options are read anew whenever the schedule changes.
    """
    publish: Callable[..., Any] = scheduler.apply_async

    def apply_async(entry: Any, *args: Any, **kwargs: Any) -> Any:
        token = _entry.set(entry.name)
        try:
            return publish(entry, *args, **kwargs)
        finally:
            _entry.reset(token)

    scheduler.apply_async = apply_async
