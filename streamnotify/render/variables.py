"""The variables of a task mail (SPEC section 4): every declared one is there, None when it is not known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote

from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.cleaning import many_lines, one_line, shorten
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.subject import format_line

Variables: TypeAlias = dict[str, object]

DECLARED = (
    "recipient_name",
    "task_name",
    "task_id",
    "status",
    "execution_time",
    "error_message",
    "frontend_url",
    "completed_at",
    "organization_id",
    "test_run_id",
    "test_set_id",
    "test_set_name",
    "link_url",
)
ERROR_MESSAGE_LIMIT = 2000


def task_variables(notification: TaskNotification, policy: RenderPolicy) -> Variables:
    """The variables of a task's mail: the declared ones, then the result's; the result overrides none of ours."""
    from_result = {name: _cleaned(value) for name, value in notification.variables.items() if value is not None}
    ours: Variables = {
        "recipient_name": _line(notification.name),
        "task_name": _line(notification.display_name) or one_line(notification.task_name),
        "task_id": one_line(notification.task_id),
        "status": notification.status,
        "execution_time": execution_time(notification.duration_s),
        "error_message": _error_message(notification.error_message),
        "frontend_url": policy.frontend_url,
        "completed_at": instant(notification.completed_at),
        "organization_id": _line(notification.organization_id),
    }
    variables = dict.fromkeys(DECLARED) | from_result | ours
    for name in ("test_run_id", "test_set_id", "test_set_name"):  # stand in links and rows, so must be words
        variables[name] = _word(variables[name])
    return variables | {"link_url": link_url(variables, policy)}


def execution_time(duration_s: float | None) -> str | None:
    """``45.2s``, ``2m 45s`` or ``1h 01m 05s``; None if unknown or negative."""
    if duration_s is None or not math.isfinite(duration_s) or duration_s < 0:
        return None
    if round(duration_s, 1) < 60:
        return f"{duration_s:.1f}s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {seconds:02d}s" if hours else f"{minutes}m {seconds:02d}s"


def instant(at: datetime) -> str:
    """An instant as ``2024-01-15 14:30:25 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def link_url(variables: Mapping[str, object], policy: RenderPolicy) -> str | None:
    """Where "View Results" leads: the test run, else the test set, else None and there is no button."""
    if policy.frontend_url is None:
        return None
    quoted = {name: quote(value, safe="") for name, value in variables.items() if isinstance(value, str)}
    for template in (policy.link_test_run, policy.link_test_set):
        path = format_line(template, quoted)
        if path is not None:
            return policy.frontend_url.rstrip("/") + path
    return None


def _line(text: str | None) -> str | None:
    return one_line(text) or None if text is not None else None


def _word(value: object) -> str | None:
    """A text or number as one line; anything else (a list, a truth value) is no word."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return _line(str(value))


def _error_message(text: str | None) -> str | None:
    if text is None:
        return None
    return shorten(many_lines(text).strip(), ERROR_MESSAGE_LIMIT) or None


def _cleaned(value: object) -> object:
    """A result's value without characters that could harm a reader, however deep they stand."""
    if isinstance(value, str):
        return many_lines(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    return value
