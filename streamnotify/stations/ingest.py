"""ingest: is it a valid task event? Then what it says goes to the run it is about (DESIGN section 1)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import (
    Details,
    Notify,
    RunContext,
    RunError,
    RunUpdate,
    Step,
    fold,
    update_from_event,
)
from streamnotify.domain.status import Rank
from streamnotify.stations.context import Context, Folding, Record, Station
from streamnotify.stations.public_records import NAMES_REMEMBERED, count_misspelt, in_utc, published_at
from streamnotify.wire.cloudevents import NO_ATTRIBUTES, Attributes, open_cloudevent, open_unmarked
from streamnotify.wire.commands import MergeRun, NoteLoss
from streamnotify.wire.cuts import RESULT_BYTES, cut_error, cut_result
from streamnotify.wire.fields import digits
from streamnotify.wire.task_event import EventContext, EventError, NotifyOptions, TaskEvent, parse
from streamnotify.wire.task_event_fast import FastContext, FastError, FastNotify, FastTaskEvent, parse_fast
from streamnotify.wire.topics import TASK_EVENTS, TASKS, Topic

logger = logging.getLogger(__name__)

DEFAULT_REDELIVERY_S = 60.0
SILENT = Notify(wanted=False)
_OPTED_IN = Notify()

_WHAT = "a task event"
_RUNNING, _ENDED = int(Rank.RUNNING), int(Rank.ENDED)
_EVENT_FIELDS = tuple(TaskEvent.model_fields)
_NOTIFY_FIELDS = tuple(NotifyOptions.model_fields)
_CONTEXT_FIELDS = tuple(EventContext.model_fields)
_ERROR_FIELDS = tuple(EventError.model_fields)
_NOTHING = (None,) * 7


@dataclass(slots=True)
class Oddities:
    """What was odd about accepted events, counted: misspelt field names, and results that were cut."""

    misspelt: Counter[str] = field(default_factory=Counter)
    results_cut: int = 0
    cut_tasks: set[str] = field(default_factory=set)

    def is_new_cut(self, task_name: str) -> bool:
        """Whether a cut result is worth a line: a task's results are mostly all too large or none."""
        if task_name in self.cut_tasks or len(self.cut_tasks) >= NAMES_REMEMBERED:
            return False
        self.cut_tasks.add(task_name)
        return True


def station(policy: IngestPolicy, oddities: Oddities | None = None) -> Station:
    """The ingest station; ``oddities`` is counted up as events come in."""
    seen = Oddities() if oddities is None else oddities

    def handle(record: Record, ctx: Context) -> None:
        update = read_update(record, policy, seen)
        ctx.emit(TASKS, update.task_name, MergeRun(update))

    return Station("ingest", (TASK_EVENTS,), handle, folding=Folding(_identity, _combine), loss=_loss)


def _loss(until: datetime) -> tuple[Topic, NoteLoss]:
    return TASKS, NoteLoss(until)


def _identity(command: MergeRun) -> Hashable:
    return command.update.task_name, command.update.task_id


def _combine(a: MergeRun, b: MergeRun) -> MergeRun | None:
    folded = fold(a.update, b.update)
    return None if folded is None else MergeRun(folded)


def read_update(record: Record, policy: IngestPolicy, oddities: Oddities | None = None) -> RunUpdate:
    """What a record of task-events says about which run. What is odd about it is counted in ``oddities``, if given.

    Raises:
        BadRecord: if it is no task event.
    """
    opened = open_cloudevent(record.value, record.headers) if record.headers else None
    fast = parse_fast(record.value) if opened is None else None
    if fast is not None:
        try:
            return _update(fast, record, NO_ATTRIBUTES, policy, oddities)
        except ValueError:
            pass  # the model finds the same, and says it in words for a person
    opened = opened or open_unmarked(record.value)
    event = parse(record.value if opened is None else opened.data)
    if oddities is not None:
        _look_for_misspelt(event, oddities)
    return _update(event, record, NO_ATTRIBUTES if opened is None else opened.attributes, policy, oddities)


def _update(
    event: TaskEvent | FastTaskEvent,
    record: Record,
    attributes: Attributes,
    policy: IngestPolicy,
    oddities: Oddities | None,
) -> RunUpdate:
    """An event as an update. Its fields win over a CloudEvent's ``attributes``."""
    position = f"{record.partition}-{record.offset}"
    event_id = _id(event.event_id) or attributes.id or position
    published = published_at(record)
    occurred_at = in_utc(event.occurred_at or attributes.time, "occurred_at") or published
    return update_from_event(
        _id(event.task_name) or "",
        _id(event.task_id) or f"{position}-{record.timestamp}",
        _step(event, event_id, occurred_at, stale=published - occurred_at > policy.max_event_age),
        submitted_at=in_utc(event.submitted_at, "submitted_at"),
        queued_at=in_utc(event.queued_at, "queued_at"),
        started_at=in_utc(event.started_at, "started_at"),
        details=_details(event, event_id, occurred_at, oddities),
    )


def _step(event: TaskEvent | FastTaskEvent, event_id: str, occurred_at: datetime, stale: bool) -> Step:
    status = event.status
    rank = status.rank
    finished_at = duration_s = redelivery_s = None
    if rank > _RUNNING:
        if event.final is False and rank == _ENDED:
            rank = Rank.ATTEMPT_ENDED
        finished_at = in_utc(event.finished_at, "finished_at") or occurred_at
        duration_s = event.duration_s if event.duration_s is not None and event.duration_s >= 0 else None
    elif rank == _RUNNING and event.interrupted:
        redelivery_s = DEFAULT_REDELIVERY_S if event.redelivery_s is None else event.redelivery_s
    return Step(event.attempt or 1, rank, status, occurred_at, event_id, finished_at, duration_s, redelivery_s, stale)


def _details(
    event: TaskEvent | FastTaskEvent, event_id: str, occurred_at: datetime, oddities: Oddities | None
) -> tuple[Details, ...]:
    result = event.result
    details = Details(
        occurred_at,
        event_id,
        None if event.notify is None else _notify(event.notify),
        _id(event.user_id),
        _id(event.organization_id),
        event.display_name or None,
        None if event.context is None else _context(event.context),
        None if event.error is None else _error(event.error),
        None if result is None else _result(result, event.task_name, oddities),
    )
    return () if details[2:] == _NOTHING else (details,)


def _id(given: str | int | None) -> str | None:
    """An id as text; an empty one is none.

    Raises:
        ValueError: if it is an integer of too many digits.
    """
    if given is None or isinstance(given, str):
        return given or None
    return digits(given)


def _notify(notify: bool | NotifyOptions | FastNotify) -> Notify:
    if isinstance(notify, bool):
        return _OPTED_IN if notify else SILENT
    return Notify(
        True,
        notify.template or None,
        notify.subject_template or None,
        notify.email,
        notify.name or None,
        _OPTED_IN.on if notify.on is None else tuple(outcome.value for outcome in notify.on),
        bool(notify.urgent),
    )


def _context(context: EventContext | FastContext) -> RunContext | None:
    said = RunContext(context.model or None, context.type or context.ingestor_type or None, _id(context.id))
    return said if any(said) else None


def _error(error: str | EventError | FastError) -> RunError | None:
    if isinstance(error, str):
        said = cut_error(error)
    else:
        said = cut_error(error.message, error.type, error.cause, error.traceback)
    return said if any(said) else None


def _result(result: Any, task_name: str | int, oddities: Oddities | None) -> str | None:
    cut = cut_result(result)
    if oddities is not None and (cut is None or cut.dropped):
        oddities.results_cut += 1
        if oddities.is_new_cut(str(task_name)):
            what = "it" if cut is None else ", ".join(repr(key[:64]) for key in cut.dropped[:10])
            logger.warning("result of task %s is over %d bytes: dropped %s", task_name, RESULT_BYTES, what)
    return None if cut is None else cut.text


def _look_for_misspelt(event: TaskEvent, oddities: Oddities) -> None:
    count_misspelt(event.model_extra, _EVENT_FIELDS, oddities.misspelt, _WHAT, logger)
    if isinstance(event.notify, NotifyOptions):
        _look_inside("notify", event.notify, _NOTIFY_FIELDS, oddities)
    if event.context is not None:
        _look_inside("context", event.context, _CONTEXT_FIELDS, oddities)
    if isinstance(event.error, EventError):
        _look_inside("error", event.error, _ERROR_FIELDS, oddities)


def _look_inside(field: str, part: BaseModel, known: tuple[str, ...], oddities: Oddities) -> None:
    count_misspelt(part.model_extra, known, oddities.misspelt, _WHAT, logger, inside=field, beside=_EVENT_FIELDS)
