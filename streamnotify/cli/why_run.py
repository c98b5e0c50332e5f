"""Looks on ``task-events`` and ``dead-letters`` for why a run has no notification."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from streamnotify.cli.dead_letter_lines import summary
from streamnotify.cli.why_reading import Source, needle
from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import Facts, RunUpdate, join
from streamnotify.errors import BadRecord
from streamnotify.stations.ingest import Oddities, read_update
from streamnotify.why.runs import RunFindings
from streamnotify.wire.topics import DEAD_LETTERS, TASK_EVENTS

_MADE_UP = re.compile(r"\d+-\d+-\d+")  # the id of a run whose event brings none: its position and time
_ENCODED = b"data_base64"  # of a CloudEvent, in which nothing can be seen before it is opened


@dataclass(frozen=True, slots=True)
class _Record:
    """A record as stations read it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def findings(source: Source, task_id: str) -> RunFindings:
    """What the events and the dead letters say about a run."""
    facts: dict[str, Facts] = {}
    is_task_name = False
    for update in _updates(source, task_id):
        if update.task_id == task_id:
            known = facts.get(update.task_name)
            facts[update.task_name] = update.facts if known is None else join(known, update.facts)
        is_task_name = is_task_name or update.task_name == task_id
    return RunFindings(task_id, facts, _dead_letters(source, task_id), is_task_name)


def _updates(source: Source, task_id: str) -> Iterator[RunUpdate]:
    """What the events say that have ``task_id`` in them, wherever."""
    policy, oddities = IngestPolicy(source.settings.max_event_age), Oddities()
    sign = b"" if _MADE_UP.fullmatch(task_id) else needle(task_id)
    for message in source.records(TASK_EVENTS):
        value = message.value()
        if not isinstance(value, bytes) or (sign not in value and _ENCODED not in value):
            continue
        try:
            yield read_update(_as_record(message), policy, oddities)
        except BadRecord:
            continue  # among the dead letters


def _dead_letters(source: Source, task_id: str) -> list[dict[str, Any]]:
    names_it = re.compile(rb'"task_id"\s*:\s*"?' + re.escape(task_id.encode()) + rb'"?\s*[,}]')
    return [
        summary(message)
        for message in source.records(DEAD_LETTERS)
        if names_it.search(message.value() or b"") is not None
    ]


def _as_record(message: Message) -> _Record:
    def as_bytes(data: str | bytes | None) -> bytes | None:
        return data.encode() if isinstance(data, str) else data

    headers: Any = message.headers() or []  # pairs, whatever its stubs say
    return _Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=message.timestamp()[1],
        key=as_bytes(message.key()),
        value=as_bytes(message.value()),
        headers=headers,
    )
