"""Task events as people and programs write them, and everything there is to say about each before it is published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from pydantic import BaseModel

from streamnotify.errors import BadRecord
from streamnotify.stations.public_records import in_utc
from streamnotify.wire.cloudevents import open_unmarked
from streamnotify.wire.reading import MOST_WARNINGS, below, near_miss, problems
from streamnotify.wire.task_event import EventContext, EventError, NotifyOptions, TaskEvent, parse

_EVENT_FIELDS = tuple(TaskEvent.model_fields)
_PARTS: dict[str, type[BaseModel]] = {"notify": NotifyOptions, "context": EventContext, "error": EventError}
_INSTANTS = ("occurred_at", "submitted_at", "queued_at", "started_at", "finished_at")


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """One event as somebody wrote it, and what was found on looking at it.

    Args:
        place: where it stands, such as ``runs.jsonl, line 3``.
        record: what was written: a task event, or a CloudEvent with one inside.
        task_name, task_id, organization_id: of the task event, unless something is wrong; the task_id is the record's
            key.
        in_cloudevent: whether the task event is inside a CloudEvent.
        problems: what keeps it from being one, field by field.
        warnings: what it says without effect.
    """

    place: str
    record: Any = None
    task_name: str | None = None
    task_id: str | None = None
    organization_id: str | None = None
    in_cloudevent: bool = False
    problems: list[BadRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def value(self) -> bytes:
        """The record's value: what was written, as JSON on one line."""
        return encoded(self.record)

    def about(self, task_id: str) -> WrittenEvent:
        """The same about another run; of an event that is not inside a CloudEvent."""
        return replace(self, record=self.record | {"task_id": task_id}, task_id=task_id)


def look_at(place: str, record: Any) -> WrittenEvent:
    """What there is to say about an event."""
    value = encoded(record)
    try:
        opened = open_unmarked(value)
    except BadRecord as error:
        return WrittenEvent(place, record, problems=[error])
    inside = value if opened is None else opened.data
    warnings = _unknown(_json(inside))
    wrong = problems(TaskEvent, inside, "a task event", one="event")
    if wrong:
        return WrittenEvent(place, record, problems=wrong, warnings=warnings)
    event = parse(inside)
    return WrittenEvent(
        place,
        record,
        event.task_name,
        event.task_id or None,
        event.organization_id or None,
        opened is not None,
        list(_impossible_instants(event)),
        warnings,
    )


def encoded(record: Any) -> bytes:
    """A record as JSON on one line."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")  # the model says what is wrong


def _impossible_instants(event: TaskEvent) -> Iterator[BadRecord]:
    for name in _INSTANTS:
        try:
            in_utc(getattr(event, name), name)
        except BadRecord as error:
            yield error


def _unknown(record: Any) -> list[str]:
    """The fields that nobody reads and that were probably meant to be others, as workers warn of them: of very many
    only some are looked at."""
    if not isinstance(record, dict):
        return []
    found = _misspelt(record, _EVENT_FIELDS, "")
    for name, part in _PARTS.items():
        if isinstance(record.get(name), dict):
            found += _misspelt(record[name], tuple(part.model_fields), name)
    return found


def _misspelt(record: dict[str, Any], known: tuple[str, ...], inside: str) -> list[str]:
    found = []
    for name in islice((name for name in record if name not in known), MOST_WARNINGS):
        meant = f"{name} beside {inside}" if inside and name in _EVENT_FIELDS else near_miss(name[:255], known)
        if meant is not None:
            found.append(f"{below(inside, name)}: unknown, ignored: did you mean {meant}?")
    return sorted(found)


def _json(value: bytes | None) -> Any:
    try:
        return json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
