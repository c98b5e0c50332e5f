"""Events on their way to the topic: so many, so fast, and where each of them has come to lie."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import click

from streamnotify.settings import Settings
from streamnotify.stations.written_events import WrittenEvent
from streamnotify.stream.topic_writer import Placed, TopicWriter
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.topics import TASK_EVENTS

_MANY = 1000  # events from which on progress is shown; with a rate always


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Args:
        events: in their order.
        length: how many they are.
        rate: most of them in a second; None: as fast as it goes.
    """

    events: Iterable[WrittenEvent]
    length: int
    rate: float | None = None


class Emitted(NamedTuple):
    """An event that was taken. ``task_id`` is the run it counts for, also where it names none."""

    task_name: str
    task_id: str
    partition: int
    offset: int


class Published:
    """The events that were taken: how many, and the first ``most`` of them, or all."""

    def __init__(self, most: int | None = None) -> None:
        self.count = 0
        self.first: list[Emitted] = []
        self._most = most

    def add(self, emitted: Emitted) -> None:
        """One more was taken."""
        self.count += 1
        if self._most is None or len(self.first) < self._most:
            self.first.append(emitted)


def repeated(templates: Sequence[WrittenEvent], count: int) -> Iterator[WrittenEvent]:
    """All templates ``count`` times over, each time about other runs: what is one run in them stays one.

    Raises:
        click.UsageError: on the first, if a task_id would be too long.
    """
    own = secrets.token_hex(4)  # of runs that the templates do not name
    named = [(each, each.task_id or f"{own}-{place}") for place, each in enumerate(templates, 1)]
    for each, task_id in named:
        if len(f"{task_id}-{count}") > NAME_LENGTH:
            raise click.UsageError(f"{each.place}: the task_id is too long to be numbered")
    for number in range(1, count + 1):
        for each, task_id in named:
            yield each.about(f"{task_id}-{number}")


def emit(loaded: Settings, load: Load, published: Published) -> float:
    """Publish events on ``task-events``, and wait until all are taken; ``published`` gets each that is.

    Returns:
        how many seconds it took.

    Raises:
        EngineFailure: if Kafka did not take one.
        TopicsError: if there is no such topic.
    """
    topic = f"{loaded.topic_prefix}{TASK_EVENTS.name}"
    with TopicWriter(loaded.kafka_bootstrap_servers, topic, loaded.kafka_security) as writer:
        began = time.monotonic()
        with _progress(load) as events:
            for number, each in enumerate(events):
                if load.rate is not None:
                    _wait_until(began + number / load.rate, writer)
                writer.put(each.task_id, each.value, partial(_taken, published, each))
    return time.monotonic() - began


def _progress(load: Load) -> AbstractContextManager[Iterable[WrittenEvent]]:
    return click.progressbar(
        load.events,
        length=load.length,
        label="publishing",
        hidden=load.length < _MANY and load.rate is None,
        show_pos=True,
        file=click.get_text_stream("stderr"),
    )


def _wait_until(due: float, writer: TopicWriter) -> None:
    while (left := due - time.monotonic()) > 0:
        writer.wait(timedelta(seconds=min(left, 0.1)))


def _taken(published: Published, event: WrittenEvent, placed: Placed) -> None:
    run = event.task_id or f"{placed.partition}-{placed.offset}-{placed.timestamp}"  # as workers name it (SPEC 2.1)
    published.add(Emitted(event.task_name or "", run, placed.partition, placed.offset))
