"""Updates of one run, for tests: everything optional is absent unless given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.domain.runs import Details, RunUpdate, Step, update_from_event
from streamnotify.domain.status import Rank, Status

T0 = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)

_STEP = ("duration_s", "redelivery_s", "stale", "finished_at")
_TIMES = ("submitted_at", "queued_at", "started_at")


def at(seconds: float) -> datetime:
    """An instant ``seconds`` after T0."""
    return T0 + timedelta(seconds=seconds)


def an_update(
    status: Status,
    seconds: float = 0,
    *,
    task_id: str = "run-1",
    attempt: int = 1,
    final: bool = True,
    event_id: str = "e1",
    **fields: Any,
) -> RunUpdate:
    """An event of a run of ``nightly-report`` that occurred ``seconds`` after T0, as ``fields`` say."""
    rank = status.rank
    if rank == Rank.ENDED and not final:
        rank = Rank.ATTEMPT_ENDED
    if rank > Rank.RUNNING:
        fields.setdefault("finished_at", at(seconds))
    step = Step(attempt, rank, status, at(seconds), event_id, **{k: fields.pop(k) for k in _STEP if k in fields})
    times = {k: fields.pop(k) for k in _TIMES if k in fields}
    details = (Details(at(seconds), event_id, **fields),) if fields else ()
    return update_from_event("nightly-report", task_id, step, details=details, **times)
