"""What adapters have published, read from Kafka, and the processes that did it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.wire import task_event

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120

Event = dict[str, Any]

# They differ from run to run.
_VARYING = {"event_id", "occurred_at", "source", "producer", "task_id", "duration_s"}


class Published:
    """The events on a topic of this module's own, as they come.

    Args:
        bootstrap_servers: of the broker.
        prefix: of the topic's name.
    """

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self.topic = f"{prefix}task-events"
        admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # it must outlive what it has promised
        admin.create_topics([NewTopic(self.topic, 1, 1)])[self.topic].result()
        self.bootstrap_servers = bootstrap_servers
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": prefix,
            "STREAMNOTIFY_SOURCE": "tests",
        }
        self._events: list[Event] = []
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": prefix, "auto.offset.reset": "earliest"}
        )
        self._consumer.subscribe([self.topic])

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def of(self, task_id: str, until: Callable[[list[Event]], bool]) -> list[Event]:
        """The events of a run in the order they happened, once they are as the caller waits for."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            events = [event for event in self._events if event["task_id"] == task_id]
            events.sort(key=lambda event: datetime.fromisoformat(event["occurred_at"]))
            if until(events):
                return events
            assert time.monotonic() < deadline, f"only {[told(event) for event in events]}"
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                task_event.parse(message.value())  # it is one that the service takes
                self._events.append(json.loads(message.value() or b""))

    def to_the_end(self, task_id: str, *, with_pending: bool = False) -> list[Event]:
        """All events of a run, once its last one is there.

        Args:
            with_pending: and the first, too, which another process publishes: it may be the slower one.
        """

        def told(events: list[Event]) -> bool:
            return is_over(events) and (not with_pending or any(event["status"] == "Pending" for event in events))

        return self.of(task_id, until=told)


def is_over(events: list[Event]) -> bool:
    """Whether a run has ended for good."""
    return any(event["status"] in {"Completed", "Stopped", "Cancelled"} and "final" not in event for event in events)


def told(event: Event) -> Event:
    """An event without what varies from run to run."""
    return {name: value for name, value in event.items() if name not in _VARYING and not name.endswith("_at")}


@contextmanager
def a_process(argv: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs during the block; what it prints goes to ``log``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **env}
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
