"""The records on ``monitor-results``: every check and its verdict (SPEC 2.4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.alerts import CheckResult, Verdict

_MADE = frozenset({Verdict.OK, Verdict.STATUS_MISMATCH, Verdict.NOT_EXECUTED, Verdict.UNKNOWN})


class MonitorResult(BaseModel):
    """One check, or what there is to say about a monitor's own record. Absent fields are left out."""

    model_config = ConfigDict(title="monitor-results")

    monitor: str = Field(description="The monitor's name.")
    task_name: str | None = Field(default=None, description="The task; absent where the whole monitor is meant.")
    context_model: str | None = None
    context_type: str | None = None
    verdict: Verdict = Field(
        description="What the check came to. skipped: fell into an outage of ours. refused, warning: about the "
        "monitor's record, not about a task."
    )
    reason: str | None = Field(default=None, description="Why, in words; of a bad record the path of the field first.")
    error: str | None = Field(default=None, description="Why the check itself failed.")
    current_status: str | None = Field(default=None, description="The newest matching run's; absent: none was found.")
    expected_statuses: list[str] | None = None
    lookback_hours: int | float | None = None
    task_id: str | None = Field(default=None, description="The newest matching run.")
    started_at: datetime | None = None
    finished_at: datetime | None = None
    check_time: datetime = Field(description="When the check was due; of a bad record when it was published.")
    evaluated_at: datetime = Field(description="When it was made.")
    dependent_tasks: list[str] | None = None
    notified: list[str] | None = Field(default=None, description="The addresses mails go to.")
    count: int | None = Field(default=None, description="skipped: how many checks were not made.")
    first: datetime | None = Field(default=None, description="skipped: when the first of them was due.")
    last: datetime | None = Field(default=None, description="skipped: when the last of them was due.")


# The same record as it is written: of our own values, which need no check, in a quarter of the time.
_Written = msgspec.defstruct(
    "_Written", [(name, Any, None) for name in MonitorResult.model_fields], omit_defaults=True, frozen=True
)


def from_result(result: CheckResult, *, reason: str | None = None, notified: tuple[str, ...] = ()) -> msgspec.Struct:
    """A check as its record. The lists of a check that was made are there even if they are empty.

    Args:
        result: the check.
        reason: of the result if there is one, else this.
        notified: likewise.
    """
    made = result.verdict in _MADE
    return _Written(
        monitor=result.monitor,
        task_name=result.task_name,
        context_model=result.context_model,
        context_type=result.context_type,
        verdict=result.verdict,
        reason=result.reason or reason,
        error=result.error,
        current_status=result.current_status,
        expected_statuses=_listed(result.expected_statuses, made),
        lookback_hours=as_written(result.lookback_hours),
        task_id=result.task_id,
        started_at=result.started_at,
        finished_at=result.finished_at,
        check_time=result.check_time,
        evaluated_at=result.evaluated_at,
        dependent_tasks=_listed(result.dependent_tasks, made),
        notified=_listed(result.notified or notified, made),
        count=result.count,
        first=result.first,
        last=result.last,
    )


def as_written(number: float | None) -> int | float | None:
    """A number the way people write it: 1, not 1.0."""
    return int(number) if number is not None and number == int(number) else number


def _listed(names: tuple[str, ...], made: bool) -> tuple[str, ...] | None:
    return names if names or made else None
