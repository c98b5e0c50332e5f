"""What kinds of mail are called on pages; publishers may have kinds of their own."""

from __future__ import annotations

from collections.abc import Iterable

from streamnotify.domain.preferences import MANDATORY_KINDS

# Those of this service, in the order in which pages show them: name, and what they tell.
SHIPPED = {
    "task_completion": ("Task results", "How a task that was started for you has ended"),
    "test_execution_summary": ("Test run results", "How many tests of a run have passed and failed"),
    "task_status_alert": ("Alerts about monitored tasks", "A task failed, or did not run when it should have"),
    "task_status_recovery": ("All-clears of monitored tasks", "A task that you had an alert about is well again"),
}
_NAMED = 8  # kinds in one sentence


def name_of(kind: str) -> str:
    """What to call a kind."""
    if kind == "notification_digest":
        return "Digests"
    return SHIPPED[kind][0] if kind in SHIPPED else kind.replace("_", " ")


def names(kinds: Iterable[str]) -> list[str]:
    """What to call those of the kinds that can be turned off; a few of them, if they are many."""
    found = [name_of(kind) for kind in kinds if kind not in MANDATORY_KINDS]
    return found if len(found) <= _NAMED else [*found[:_NAMED], f"{len(found) - _NAMED} more"]
