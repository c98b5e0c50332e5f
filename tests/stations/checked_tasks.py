"""ingest and tasks on the in-memory engine, with monitors given as the commands they become."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streamnotify.domain.monitors import Monitor, TaskCheck
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.domain.schedule import Schedule
from streamnotify.domain.status import Status
from streamnotify.stations import ingest, tasks
from streamnotify.testing.memory import START, MemoryEngine
from streamnotify.wire.commands import (
    DefineMonitor,
    NotifyAlert,
)
from streamnotify.wire.topics import ANSWERS, MAILBOXES, MONITOR_RESULTS, TASK_EVENTS, TASKS

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SYNC = "hourly_data_sync"
HOURLY = Schedule(every=HOUR)
OPS = ("ops@example.com",)


class Deployment:
    """ingest and tasks, with one monitor "watch" on one task unless it is said otherwise."""

    def __init__(self) -> None:
        stations = [ingest.station(IngestPolicy()), tasks.station(TasksPolicy())]
        self.engine = MemoryEngine(stations, start=START)

    def define(self, schedule: Schedule = HOURLY, *, name: str = "watch", enabled: bool = True, **fields: Any) -> None:
        """Define a monitor of SYNC; by default a check each hour."""
        self.define_tasks({SYNC: check(**fields)}, schedule, name=name, enabled=enabled)

    def define_tasks(
        self,
        checks: dict[str, TaskCheck],
        schedule: Schedule = HOURLY,
        *,
        name: str = "watch",
        enabled: bool = True,
    ) -> None:
        self.tell(DefineMonitor(name, Monitor(name, schedule, enabled, checks)))

    def tell(self, command: Any) -> None:
        self.engine.put(TASKS, TASKS.encode(command))

    def event(self, status: str, task_id: str = "run-1", *, ago: timedelta = timedelta(0), **fields: Any) -> None:
        at = (self.engine.now - ago).isoformat()
        self.engine.put(
            TASK_EVENTS, {"task_name": SYNC, "status": status, "task_id": task_id, "occurred_at": at} | fields
        )

    def advance(self, duration: timedelta) -> None:
        self.engine.advance(duration)

    @property
    def results(self) -> list[dict[str, Any]]:
        return self.engine.values(MONITOR_RESULTS)

    @property
    def verdicts(self) -> list[str]:
        return [result["verdict"] for result in self.results]

    def told(self, kind: type[Any] = NotifyAlert) -> list[Any]:
        assert MAILBOXES.decode is not None
        commands = [MAILBOXES.decode(record.value or b"") for record in self.engine.records(MAILBOXES)]
        return [command for command in commands if isinstance(command, kind)]

    def mails(self) -> list[tuple[str, str, str | None]]:
        return [(each.alert.kind, each.alert.email, each.alert.current_status) for each in self.told()]

    def answer(self) -> Any:
        assert ANSWERS.decode is not None
        return ANSWERS.decode(self.engine.records(ANSWERS)[-1].value or b"")


def check(**fields: Any) -> TaskCheck:
    return TaskCheck(**{"expected_statuses": (Status.COMPLETED,), "notify_to": OPS} | fields)
