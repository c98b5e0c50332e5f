"""What is kept of a large notification that waits in a digest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.notifications import TaskNotification

LARGE = 2_000  # bytes; a larger item is kept lean, and hardly any is larger then
_ERROR = 1_000  # characters
_MOST_DEPENDENTS = 3
_VARIABLES = 600  # characters of names and values
# Are kept before other variables: what links need, and what a digest says of tests.
_FIRST = ("test_run_id", "test_set_id", "test_set_name", "total_tests", "tests_passed", "tests_failed")


def lean(item: TaskNotification | AlertNotification) -> TaskNotification | AlertNotification:
    """The item as it is kept where it is large: what a digest shows of it, and what links need."""
    if isinstance(item, AlertNotification):
        return replace(item, dependent_tasks=item.dependent_tasks[:_MOST_DEPENDENTS])
    return replace(
        item,
        subject_template=None,
        error_message=item.error_message and item.error_message[:_ERROR],
        variables=_short_ones(item.variables),
    )


def _short_ones(variables: dict[str, Any]) -> dict[str, Any]:
    """As many plain values as there is room for."""
    kept: dict[str, Any] = {}
    room = _VARIABLES
    for name in sorted(variables, key=lambda name: (name not in _FIRST, name)):
        value = variables[name]
        if isinstance(value, str | int | float) and (size := len(name) + len(str(value))) <= room:
            kept[name] = value
            room -= size
    return kept
