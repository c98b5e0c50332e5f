"""What every worker published about every case: recorded at once, then made comparable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.celery.cases import CASES, ENDS, Worker
from tests.celery.celery_workers import Event, celery_processes, events_of, is_over, read_all, read_until

INSTANTS = ("occurred_at", "submitted_at", "queued_at", "started_at", "finished_at")
RANKS = ("Pending", "Queued", "Running", *sorted(ENDS))


@dataclass(frozen=True, slots=True)
class Recording:
    """One worker's.

    Args:
        events: all of them, in the order Kafka took them.
        unfinished: the cases that did not come to their end in time.
        last_words: the ends of the processes' logs.
    """

    events: list[Event]
    unfinished: frozenset[str]
    last_words: str

    def of(self, case: str) -> list[Event]:
        """The events of a case."""
        return events_of(case, self.events)


def record(
    workers: Sequence[Worker], redis_url: str, bootstrap_servers: str, name: str, directory: Path
) -> dict[Worker, Recording]:
    """Run all cases on all workers, side by side, and stop the workers as a deployment does.

    Args:
        name: unique on the broker.
        directory: for logs.
    """
    with celery_processes(workers, redis_url, bootstrap_servers, name, directory) as made:
        awaited = {each.topic: [case for case in CASES if case.runs_on(worker)] for worker, each in made.items()}
        for worker, processes in made.items():
            processes.start_worker()
            processes.start_driver(*(case.name for case in awaited[processes.topic]))
            if worker.pool == "prefork" and worker.tasks_per_child is None:
                processes.start_beat()
        seen = read_until(
            bootstrap_servers,
            awaited,
            lambda found: all(is_over(case, found[topic]) for topic in found for case in awaited[topic]),
        )
        for processes in made.values():
            processes.stop()
        return {
            worker: Recording(
                read_all(bootstrap_servers, each.topic),
                frozenset(case.name for case in awaited[each.topic] if not is_over(case, seen[each.topic])),
                each.last_words(),
            )
            for worker, each in made.items()
        }


def comparable(events: Iterable[Event]) -> str:
    """Events as text: each once, by run, attempt and rank, without what differs from time to time.

    Where the child and the main process report one fact under one id, it is the child's: they race for the first place.
    """
    once: dict[tuple[str, str], Event] = {}
    for event in sorted(events, key=lambda event: event["producer"].get("role") != "child"):
        once.setdefault((event["task_name"], event["event_id"]), event)
    return json.dumps(sorted(map(_normalised, once.values()), key=_order), indent=1, sort_keys=True) + "\n"


def _order(event: Event) -> tuple[Any, ...]:
    rank = RANKS.index(event["status"])
    return (event["task_id"], event["task_name"], event.get("attempt", 1), rank, json.dumps(event, sort_keys=True))


def _normalised(event: Event) -> Event:
    changed: Event = {name: "<time>" for name in INSTANTS if name in event}
    changed["event_id"] = "<id>"
    changed["producer"] = {"sdk": event["producer"]["sdk"]}
    if "duration_s" in event:
        changed["duration_s"] = "<seconds>"
    if "error" in event:
        changed["error"] = {name: _without_numbers(text) for name, text in event["error"].items()}
    return event | changed


def _without_numbers(text: str) -> str:
    """A message of Celery's without the number of the pool's job in it."""
    return re.sub(r"Job: \d+", "Job: <number>", text)
