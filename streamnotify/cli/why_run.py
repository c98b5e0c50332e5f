"""Why a run has no notification: what its events on ``task-events`` say, and which of them could not be used."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from streamnotify.cli.dead_letter_lines import said, summary
from streamnotify.cli.why_reading import Source, needle
from streamnotify.cli.why_words import utc
from streamnotify.domain.run_steps import IngestPolicy
from streamnotify.domain.runs import Facts, RunUpdate, join, wants_mail
from streamnotify.domain.status import Rank
from streamnotify.errors import BadRecord
from streamnotify.stations.ingest import Oddities, read_update
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


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What is known of a run without a notification.

    ``facts``: what its events say, by task name; ``dead_letters``: the records about it that could not be used;
    ``is_task_name``: there are runs of a task of this name.
    """

    task_id: str
    facts: Mapping[str, Facts]
    dead_letters: Sequence[dict[str, Any]]
    is_task_name: bool = False

    def lines(self) -> Iterator[str]:
        """Why there is no notification, for a person."""
        for task_name, facts in self.facts.items():
            yield f"The run {self.task_id} of task {task_name} has no notification: {why_silent(facts)}"
        for letter in self.dead_letters:
            yield (
                f"A record about {self.task_id} could not be used by {letter['stage']}: {said(letter)}; "
                f"see `streamnotify dead-letters show {letter['id']}`"
            )
        if self.facts or self.dead_letters:
            return
        if self.is_task_name:
            yield (
                f"{self.task_id} is the name of a task: --task takes the id of a run, task_id; "
                f"`streamnotify runs {shlex.quote(self.task_id)}` lists its runs with theirs"
            )
        else:
            yield (
                f"Nobody knows a run {self.task_id}: ids are case-sensitive, events are kept for 7 d and notifications "
                "for 30 d; was the event published to this cluster and topic prefix?"
            )


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


def why_silent(facts: Facts) -> str:
    """Why nobody has been told how a run ended, by what its events say (SPEC sections 3 and 4)."""
    step = facts.step
    now = f"{step.status} since {utc(step.occurred_at)}"
    if step.rank < Rank.ATTEMPT_ENDED:
        return f"it has not ended, it is {now}"
    if step.rank == Rank.ATTEMPT_ENDED:
        return f"only attempt {step.attempt} is over, {now}: the event says final false, so that the run goes on"
    if step.rank == Rank.INVALIDATED:
        return f"it was invalidated to be tried again, which is never mailed: {now}"
    if wants_mail(facts) is None:
        refused = any(details.notify is not None for details in facts.details)
        silent = "says notify false" if refused else "has a notify"
        number = "its newest event with a notify" if refused else "none of its events"
        return f"it is a silent task, since {number} {silent}; it is {now}"
    return (
        f"it is {now} and somebody is to be told, but no worker has come to it yet: is `streamnotify worker` running, "
        "and ready?"
    )


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
