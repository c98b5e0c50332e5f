"""What travels with a task's record through retries, chains, chords and links (research/celery-sdk.md C7, C8, D1).

Every header is put only where there is none: those of the user and of other integrations stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery.app.task import Context as Request

logger = logging.getLogger(__name__)

SENT = "x-streamnotify-sent"  # when the run was first submitted; survives retries
QUEUED = "x-streamnotify-queued"  # when a worker received this attempt; added by the worker's main process
SCHEDULE = "periodic_task_name"  # the entry of beat; django-celery-beat's name for it
EMAIL = "notify_email"  # who is told, for those without a directory
NAME = "notify_name"

_OF_THE_RUN = (SENT, SCHEDULE)


def header(request: Request, name: str) -> Any:
    """A header of a task's request, or None.

    Celery sets them as attributes. Under the nested key ``headers`` they are lost on a retry, or are only those of
    another integration (sentry-python issue 5581), so that comes second.
    """
    value = vars(request).get(name)
    return value if value is not None else (request.headers or {}).get(name)


def instant(request: Request, name: str) -> datetime | None:
    """A header that holds an instant; None without it, or if it is none of ours."""
    value = header(request, name)
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def written(at: datetime) -> str:
    """An aware instant as a header."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def tenant(request: Request, key: str) -> str | None:
    """What a task belongs to under ``key``, such as ``organization_id``: its header, else its keyword argument (D1)."""
    value = header(request, key)
    if value is None:
        value = _argument(request.kwargs, key)
    return None if value is None else str(value)


def warn_of_mismatch(request: Request, task_name: str, keys: tuple[str, ...]) -> None:
    """Say so if a header and a keyword argument name two different tenants."""
    for key in keys:
        of_header, of_argument = header(request, key), _argument(request.kwargs, key)
        if of_header is not None and of_argument is not None and str(of_header) != str(of_argument):
            logger.warning(
                "%s of task %s[%s] is %s in its headers and %s in its arguments; the header counts",
                key,
                task_name,
                request.id,
                of_header,
                of_argument,
            )


def propagate(
    headers: dict[str, Any], kwargs: Any, *, parent: Request | None, keys: tuple[str, ...], now: datetime
) -> None:
    """Complete the headers of a task that is being published.

    Args:
        headers: the new task's, changed in place.
        kwargs: its keyword arguments; a tenant named there is more to the point than an inherited one.
        parent: the task that publishes it, or whose errback it is; None outside of tasks.
        keys: which headers name the tenant.
        now: an aware instant.
    """
    for key in (*keys, EMAIL, NAME):
        if headers.get(key) is not None:
            continue
        value = _argument(kwargs, key) if key in keys else None
        if value is None and parent is not None:
            value = tenant(parent, key) if key in keys else header(parent, key)
        if value is not None:
            headers[key] = str(value)
    if parent is not None and parent.id == headers.get("id"):  # a retry
        for key in _OF_THE_RUN:
            value = header(parent, key)
            if value is not None:
                headers.setdefault(key, value)
    headers.setdefault(SENT, written(now))


def _argument(kwargs: Any, key: str) -> Any:
    return kwargs.get(key) if isinstance(kwargs, Mapping) else None
