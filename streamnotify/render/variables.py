"""The variables of a task mail (SPEC section 4): every declared one is there, None when it is not known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote

from streamnotify.domain.error_messages import ERROR_MESSAGE_LIMIT, both_ends
from streamnotify.domain.notifications import TaskNotification
from streamnotify.render.cleaning import many_lines, one_line, shorten
from streamnotify.render.counts import Counts, bar, count, outcome, summary
from streamnotify.render.instants import instant
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.status_details import status_details
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
    "test_message",  # of a test mail, what its caller wrote
    "link_url",
    # of test_execution_summary
    "total_tests",
    "tests_passed",
    "tests_failed",
    "tests_summary",
    "tests_bar",
    "tests_outcome",
    "status_details",
    "endpoint_name",
    "endpoint_url",
    "project_name",
)
# Those that the renderer adds.
_OF_THE_MAIL = ("brand", "subject", "unsubscribe_url")
# Names that mean something to Jinja itself; a result's key of that name would break a template.
_OF_JINJA = frozenset(
    ("self", "super", "caller", "loop", "varargs", "kwargs", "range", "dict", "lipsum", "cycler", "joiner", "namespace")
)
# What a result says and a row shows.
_WORDS = (
    "test_run_id",
    "test_set_id",
    "test_set_name",
    "endpoint_name",
    "endpoint_url",
    "project_name",
    "test_message",
)
_NAME = re.compile(r"\{(\w+)")
_LINE_LIMIT = 255  # characters, as of an id
_URL_LIMIT = 2000  # characters
_LIMITS = {"endpoint_url": _URL_LIMIT, "test_message": 1000}  # characters


def task_variables(notification: TaskNotification, policy: RenderPolicy) -> Variables:
    """The variables of a task's mail: the declared ones, then the result's; the result overrides none of ours."""
    from_result = {
        name: _cleaned(value)
        for name, value in notification.variables.items()
        if value is not None and name not in _OF_JINJA
    }
    ours: Variables = {
        "recipient_name": line(notification.name),
        "task_name": line(notification.display_name) or line(notification.task_name) or "",
        "task_id": line(notification.task_id) or "",
        "status": notification.status,
        "execution_time": execution_time(notification.duration_s),
        "error_message": _error_message(notification.error_message),
        "frontend_url": policy.frontend_url,
        "completed_at": instant(notification.completed_at, notification.timezone),
        "organization_id": line(notification.organization_id),
    }
    variables = dict.fromkeys(DECLARED) | from_result | ours
    for name in _WORDS:
        variables[name] = word(variables[name], _LIMITS.get(name, _LINE_LIMIT))
    variables["status_details"] = status_details(variables["status_details"])
    return variables | _test_variables(variables) | {"link_url": link_url(variables, policy)}


def declared_only(variables: Variables) -> Variables:
    """The variables that shipped templates use: no name of a result can stand in their way."""
    return {name: variables[name] for name in (*DECLARED, *_OF_THE_MAIL) if name in variables}


def _test_variables(variables: Mapping[str, object]) -> Variables:
    counts = Counts(*(count(variables[name]) for name in ("total_tests", "tests_passed", "tests_failed")))
    return {
        "total_tests": counts.total,
        "tests_passed": counts.passed,
        "tests_failed": counts.failed,
        "tests_summary": summary(counts),
        "tests_bar": bar(counts),
        "tests_outcome": outcome(str(variables["status"]), counts),
    }


def execution_time(duration_s: float | None) -> str | None:
    """``45.2s``, ``2m 45s`` or ``1h 01m 05s``; None if unknown or negative."""
    if duration_s is None or not math.isfinite(duration_s) or duration_s < 0:
        return None
    if round(duration_s, 1) < 60:
        return f"{duration_s:.1f}s"
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m {seconds:02d}s" if hours else f"{minutes}m {seconds:02d}s"


def link_url(variables: Mapping[str, object], policy: RenderPolicy) -> str | None:
    """Where "View Results" leads: the test run, else the test set, else None and there is no button."""
    links = (frontend_link(template, variables, policy) for template in (policy.link_test_run, policy.link_test_set))
    return next((link for link in links if link is not None), None)


def result_link(notification: TaskNotification, policy: RenderPolicy) -> str | None:
    """The ``link_url`` of :func:`task_variables`, made of the ids and names of the run and its result alone."""
    names = (*_names(policy.link_test_run), *_names(policy.link_test_set))
    return link_url({name: _for_link(name, notification) for name in names}, policy)


def _for_link(name: str, notification: TaskNotification) -> object:
    if name == "task_name":
        return line(notification.display_name) or line(notification.task_name) or ""
    if name == "task_id":
        return line(notification.task_id) or ""
    if name in ("status", "organization_id"):
        return line(getattr(notification, name))
    value = _cleaned(notification.variables.get(name))
    return word(value) if name in _WORDS else value


def frontend_link(template: str | None, variables: Mapping[str, object], policy: RenderPolicy) -> str | None:
    """``template`` filled in with texts, after FRONTEND_URL; None if either is missing, or one of its variables."""
    if policy.frontend_url is None or template is None:
        return None
    named = {name: variables.get(name) for name in _names(template)}
    quoted = {name: quote(value, safe="") for name, value in named.items() if isinstance(value, str)}
    path = format_line(template, quoted) if len(quoted) == len(named) else None
    return None if path is None else policy.frontend_url.rstrip("/") + path


@lru_cache(maxsize=64)
def _names(template: str) -> tuple[str, ...]:
    """The variables that a link template names."""
    return tuple(_NAME.findall(template))


def line(text: str | None, limit: int = _LINE_LIMIT) -> str | None:
    """``text`` as one clean line of at most ``limit`` characters; None if there is nothing in it."""
    return shorten(one_line(text[: 4 * limit]), limit) or None if text is not None else None


def word(value: object, limit: int = _LINE_LIMIT) -> str | None:
    """``value``, a text or number, as one line; anything else (a list, a truth value) is no word."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return line(str(value), limit)


def _error_message(text: str | None) -> str | None:
    if text is None:
        return None
    # Cut before it is cleaned too, so that a huge one costs little: cleaning only shortens.
    return both_ends(many_lines(both_ends(text, 4 * ERROR_MESSAGE_LIMIT)).strip()) or None


def _cleaned(value: object) -> object:
    """A result's value without characters that could harm a reader, however deep they stand."""
    if isinstance(value, str):
        return many_lines(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    return value
