"""Real workers of real releases of Celery: their processes, and what they publish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import Redis

from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.topic_layout import layouts
from tests.celery.cases import ENDS, ROOT, Case, Worker

Event = dict[str, Any]

SECONDS = 150.0  # within which every case must be over, on a machine busy with other things
DATABASES = 16  # that a Redis has


class CeleryProcesses:
    """A worker and what sends tasks to it, with a Redis database and a prefix of topics of their own.

    Args:
        worker: its kind.
        redis: a URL with the number of a database, which is emptied.
        bootstrap_servers: of Kafka.
        prefix: of its topics.
        directory: for logs and beat's state.
        variables: more of the processes' environment.
    """

    def __init__(
        self,
        worker: Worker,
        redis: str,
        bootstrap_servers: str,
        prefix: str,
        directory: Path,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.worker = worker
        self.directory = directory
        self.topic = f"{prefix}task-events"
        path = [*([str(worker.packages)] if worker.packages else []), str(ROOT)]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "STREAMNOTIFY_"))},
            "PYTHONPATH": os.pathsep.join(path),
            "TESTS_REDIS": redis,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": prefix,
            "STREAMNOTIFY_SOURCE": "tests",
            **(variables or {}),
        }
        with Redis.from_url(redis) as client:
            client.flushdb()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._worker: subprocess.Popen[bytes] | None = None
        self._drivers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, application: str = "tests.celery.app", *options: str) -> None:
        """Start the worker. It is ready when the driver has sent its first task."""
        pool = ["--pool", self.worker.pool, "--concurrency", "1" if self.worker.pool == "solo" else "4"]
        recycling = ["--max-tasks-per-child", str(self.worker.tasks_per_child)] if self.worker.tasks_per_child else []
        self._worker = self.start(
            "worker", "celery", "-A", application, "worker", "--loglevel", "INFO", *pool, *recycling, *options
        )

    def end_worker(self, number: signal.Signals) -> None:
        """Send the worker's main process a signal, and wait for its end."""
        assert self._worker is not None
        self._worker.send_signal(number)
        self._worker.wait(60)

    def start_beat(self) -> None:
        """Start beat, which sends a task every second."""
        schedule = str(self.directory / "beat-schedule")
        self.start("beat", "celery", "-A", "tests.celery.app", "beat", "--schedule", schedule, "--pidfile", "")

    def start_driver(self, *arguments: str, module: str = "tests.celery.driver") -> subprocess.Popen[bytes]:
        """Start what sends tasks, once the worker is ready."""
        driver = self.start("driver", module, *arguments)
        self._drivers.append(driver)
        return driver

    def start(self, log: str, *module: str) -> subprocess.Popen[bytes]:
        """Start a Python module; what it prints is added to a log."""
        with self.log(log).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self.environment,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> Path:
        """What a process has printed."""
        return self.directory / f"{name}.log"

    def stop(self) -> None:
        """Stop the worker and beat as a deployment does, once the driver has ended: what is running may end, too."""
        for driver in self._drivers:
            driver.wait(60)
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(60)

    def close(self) -> None:
        """End what is left, children included."""
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def last_words(self) -> str:
        """The ends of all logs."""
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {log.name} of {self.worker}\n{log.read_text(errors='replace')[-6000:]}" for log in logs)


@contextmanager
def celery_processes(
    workers: Sequence[Worker], redis_url: str, bootstrap_servers: str, name: str, directory: Path
) -> Iterator[dict[Worker, CeleryProcesses]]:
    """Workers that are not started yet, with their topics; all processes are ended with the block."""
    server = redis_url.rpartition("/")[0]
    assert len(workers) < DATABASES, "give each worker a Redis of its own"
    with ExitStack() as closing:
        made = {}
        for number, worker in enumerate(workers):
            own = directory / str(worker)
            own.mkdir()
            prefix = f"{name}.{number}."
            made[worker] = CeleryProcesses(worker, f"{server}/{number}", bootstrap_servers, prefix, own)
            closing.callback(made[worker].close)
            create_topic(bootstrap_servers, made[worker].topic)
        yield made


def create_topic(bootstrap_servers: str, topic: str) -> None:
    """Make a topic of events, with one partition, as a deployment has it."""
    prefix = topic.removesuffix("task-events")
    TopicAdmin(bootstrap_servers).apply([each for each in layouts(prefix, "sn", 1, 1) if each.name == topic])


def read_until(
    bootstrap_servers: str, topics: Iterable[str], enough: Callable[[dict[str, list[Event]]], bool]
) -> dict[str, list[Event]]:
    """The events of topics as they come, until there are enough or the time is over."""
    found: dict[str, list[Event]] = {topic: [] for topic in topics}
    deadline = time.monotonic() + SECONDS
    with TopicReader(bootstrap_servers, list(found)) as reader:
        while not enough(found) and time.monotonic() < deadline:
            record = reader.next(timedelta(seconds=1))
            if record is not None:
                found[record.topic() or ""].append(json.loads(record.value() or b""))
    return found


def read_all(bootstrap_servers: str, topic: str) -> list[Event]:
    """All events of a topic."""
    with TopicReader(bootstrap_servers, [topic]) as reader:
        return [json.loads(record.value() or b"") for record in reader.to_the_end()]


def is_over(case: Case, events: Iterable[Event]) -> bool:
    """Whether a case has come to its end."""
    status, count = case.until
    wanted = ENDS if status == "end" else {status}
    of_case = {event["event_id"] for event in events_of(case.name, events) if event["status"] in wanted}
    return len(of_case) >= count


def events_of(case: str, events: Iterable[Event]) -> list[Event]:
    """Those of a case's tasks."""
    return [event for event in events if event.get("task_id", "").partition(".")[0] == case]
