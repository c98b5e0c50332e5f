"""The whole product as a worker process: its topics, its settings, and what can be seen of it from outside."""

from __future__ import annotations

import copy
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.children import BenchmarkFailed, Child, disk_bytes, remove
from benchmarks.stage import PARTITIONS, Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.wire.topic_layout import layouts
from streamnotify.wire.topics import TASK_EVENTS, TASKS

READY_WITHIN = 300.0  # seconds, restoring included
HOST = "127.0.0.1"
APP_ID = "streamnotify"


class WorkerMetrics:
    """A worker's health port.

    Args:
        port: where it answers.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def ready(self) -> bool:
        """Whether its records flow."""
        return self._get("/readyz") is not None

    def value(self, name: str, **labels: str) -> float:
        """A metric's value; 0 while there is none."""
        text = self._get("/metrics")
        for family in text_string_to_metric_families(text or ""):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return 0.0

    def records(self, station: str) -> int:
        """How many records a station has applied."""
        return int(self.value("streamnotify_records_total", station=station))

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return None


class Product:
    """One deployment of the product, and one worker of it.

    Args:
        stage: where it runs.
        name: unique on the stage; the prefix of its topics.
        smtp_port: where mails go; None if there will be none.
        settings: more environment variables, or others.
    """

    def __init__(
        self, stage: Stage, name: str, smtp_port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._stage = stage
        self.name = name
        self._smtp_port = smtp_port
        self._settings = settings or {}
        self._number = 1  # of this worker
        self._starts = 0
        self._worker: Child | None = None
        self.metrics = WorkerMetrics(0)
        stage.apply(layouts(f"{name}.", APP_ID, PARTITIONS, 1))

    def beside(self) -> Product:
        """The same deployment as seen from another worker of it, which is still to be started."""
        other = copy.copy(self)
        other._number += 1
        return other

    @property
    def events_topic(self) -> str:
        """Where its task events are published."""
        return f"{self.name}.{TASK_EVENTS.name}"

    @property
    def tasks_topic(self) -> str:
        """The internal topic between ingest and tasks."""
        return self.internal_topic(TASKS.name)

    def internal_topic(self, name: str) -> str:
        """An internal topic's name on the broker."""
        return f"{self.name}.{APP_ID}-{name}"

    @property
    def data_dir(self) -> Path:
        """Where its worker keeps its state."""
        return self._stage.directory / f"{self.name}-state"

    @property
    def worker(self) -> Child:
        """The running worker."""
        if self._worker is None:
            raise BenchmarkFailed(f"no worker of {self.name} was started")
        return self._worker

    def start(self) -> None:
        """Start the worker (its engine without a supervisor); it is not ready yet."""
        self._starts += 1
        self.metrics = WorkerMetrics(free_port())
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self._stage.bootstrap_servers,
            "SMTP_HOST": HOST,
            "SMTP_PORT": str(self._smtp_port or 25),
            "SMTP_TLS": "none",
            "SMTP_FROM": "noreply@example.com",
            "FRONTEND_URL": "http://localhost:3000",
            "STREAMNOTIFY_DIGEST_WINDOW": "0",  # single mails are what is measured
            "STREAMNOTIFY_ALERT_DIGEST_WINDOW": "0",
            "STREAMNOTIFY_TOPIC_PREFIX": f"{self.name}.",
            "STREAMNOTIFY_APP_ID": APP_ID,
            "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
            "STREAMNOTIFY_DATA_DIR": str(self.data_dir),
            "STREAMNOTIFY_HEALTH_BIND": f"{HOST}:{self.metrics.port}",
            **self._settings,
        }
        argv = [sys.executable, "-m", "streamnotify.cli.engine", "--parent-fd={alive}"]
        self._worker = self._stage.children.start(
            f"{self.name}-worker-{self._number}-{self._starts}", argv, environment
        )

    def start_and_wait(self) -> float:
        """Start the worker; the seconds until it is ready."""
        began = time.monotonic()
        self.start()
        while not self.metrics.ready():
            self.worker.require_alive()
            if time.monotonic() - began > READY_WITHIN:
                raise BenchmarkFailed(f"{self.name} was not ready in time:\n{self.worker.log_tail()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def applied(self, count: int) -> int:
        """How many of ``count`` published events are through: ``count`` once tasks has applied all that ingest made of
        them, before that what ingest has taken in."""
        ingested = self.metrics.records("ingest")
        if ingested < count or self.metrics.records("tasks") < self._stage.end_offsets(self.tasks_topic):
            return min(ingested, count - 1)
        return count

    def memory(self, what: str = "VmRSS") -> int:
        """The worker's memory in bytes, see Child."""
        return self.worker.memory(what)

    def disk(self) -> int:
        """What its state takes on disk, in bytes."""
        return disk_bytes(self.data_dir)

    def lose_state(self) -> None:
        """Remove the state of a worker that does not run."""
        remove(self.data_dir)
