"""What is recorded of each check: the check itself, and that it ran, as a task of its own (SPEC section 5)."""

from __future__ import annotations

from datetime import datetime

from streamnotify.domain.alerts import CheckResult, check_id
from streamnotify.domain.monitors import SELF_CHECK
from streamnotify.domain.status import Status
from streamnotify.stations.context import Context
from streamnotify.wire.monitor_result import from_result
from streamnotify.wire.task_event_fast import FastContext, FastTaskEvent
from streamnotify.wire.topics import MONITOR_RESULTS, TASK_EVENTS


def record_check(
    result: CheckResult, ctx: Context, *, reason: str | None = None, notified: tuple[str, ...] = ()
) -> None:
    """Emit a check to ``monitor-results``, and its own run to ``task-events``.

    Checks that were skipped have not run. Those of :data:`SELF_CHECK` are not published as runs, or each would make
    the next.

    Args:
        result: the check.
        ctx: of the record at hand.
        reason: why nobody is told, unless the result has a reason of its own.
        notified: the addresses mails go to, unless the result says.
    """
    task_name = result.task_name
    ctx.emit(MONITOR_RESULTS, task_name or result.monitor, from_result(result, reason=reason, notified=notified))
    if task_name is not None and task_name != SELF_CHECK and result.verdict.is_of_a_check:
        run_id = check_id(result.monitor, task_name, result.check_time)
        ctx.emit(TASK_EVENTS, run_id, _run(run_id, result, ctx.now))


def _run(run_id: str, result: CheckResult, now: datetime) -> FastTaskEvent:
    """The check as a run: it is seen by the checks due after it was recorded, whenever it was due itself."""
    return FastTaskEvent(
        task_name=SELF_CHECK,
        task_id=run_id,
        event_id=run_id,
        status=Status.COMPLETED if result.error is None else Status.STOPPED,
        occurred_at=now,
        started_at=now,
        finished_at=now,
        context=FastContext(type=result.monitor),
        error=result.error,
        source="streamnotify",
    )
