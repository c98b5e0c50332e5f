"""Questions about runs and monitors, answered from the state (DESIGN 3.11)."""

from __future__ import annotations

from datetime import UTC, datetime

from streamnotify.domain.alerts import ALERT
from streamnotify.domain.checks import Conclusion
from streamnotify.domain.sightings import Sighting
from streamnotify.stations.checks import CHECK, check_key, find, record_and_tell
from streamnotify.stations.context import Context
from streamnotify.stations.definitions import DEFINITION
from streamnotify.stations.run_rows import RUN, run_key, sightings
from streamnotify.wire.commands import (
    Answer,
    AskCheck,
    AskMonitor,
    AskRuns,
    CheckAnswer,
    MonitorAnswer,
    RunsAnswer,
    RunSeen,
)
from streamnotify.wire.topics import ANSWERS

MOST_RUNS = 1000  # of one answer
_MOST_BYTES = 400_000  # of their names and ids, as an answer must fit into one chunk
_RUN_BYTES = 100  # of the rest of a run

_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def runs(question: AskRuns, ctx: Context) -> None:
    """The newest runs of a task, as its checks see them."""
    most, size, more = min(question.limit, MOST_RUNS), 0, False
    seen: list[RunSeen] = []
    for at, task_id, sighting in sightings(question.task_name, question.since, _LATEST, ctx):
        size += _RUN_BYTES + sum(len(text.encode()) for text in (task_id, *sighting[1:]) if text is not None)
        if more := len(seen) == most or size > _MOST_BYTES:
            break
        seen.append(_seen(question.task_name, at, task_id, sighting, ctx))
    _answer(RunsAnswer(question.question, tuple(seen), more=more), ctx)


def monitor(question: AskMonitor, ctx: Context) -> None:
    """A monitor's definition."""
    definition = ctx.get(DEFINITION, question.name)
    _answer(MonitorAnswer(question.question, None if definition is None else definition.monitor), ctx)


def check(question: AskCheck, ctx: Context) -> None:
    """How a check stands, and what it finds now."""
    state = ctx.get(CHECK, check_key(question.task_name, question.monitor))
    expected = question.check if question.check is not None else state.expected if state is not None else None
    if expected is None:
        _answer(CheckAnswer(question.question, None), ctx)
        return
    result = find(question.monitor, question.task_name, expected, ctx.now, ctx)
    if question.notify:
        record_and_tell(result, expected, Conclusion(mail=ALERT if result.verdict.is_failure else None), ctx)
    _answer(
        CheckAnswer(
            question.question,
            result,
            last_verdict=None if state is None or state.last_verdict is None else state.last_verdict.value,
            last_checked_at=None if state is None else state.last_checked_at,
            next_due=None if state is None else state.due,
        ),
        ctx,
    )


def _seen(task_name: str, at: datetime, task_id: str, sighting: Sighting, ctx: Context) -> RunSeen:
    run = ctx.get(RUN, run_key(task_name, task_id))
    return RunSeen(
        task_id,
        at,
        "" if run is None else run.status.value,
        None if run is None else run.started_at,
        None if run is None else run.finished_at,
        sighting.context_model,
        sighting.context_type,
        sighting.organization_id,
    )


def _answer(answer: Answer, ctx: Context) -> None:
    ctx.emit(ANSWERS, None, answer)
