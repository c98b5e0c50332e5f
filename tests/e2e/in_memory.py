"""The whole product on the in-memory engine: records in as people type them, mails out, a clock to be advanced."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from streamnotify.domain.delivery import AttemptResult, DeliveryPolicy, Outcome, OutgoingMail
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import deliveries, directory, ingest, mailboxes, monitors, tasks
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.topics import MONITOR_CONFIGS, MONITOR_RESULTS, TASK_EVENTS, USERS
from tests.e2e.product import parsed


class KeptMails:
    """A relay that takes every mail and keeps it."""

    at_once = 1

    def __init__(self) -> None:
        self.mails: list[OutgoingMail] = []

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Take it."""
        self.mails.append(mail)
        return AttemptResult(mail.notification_id, attempt, Outcome.SENT, stage="dot", code=250)


class InMemoryProduct:
    """All stations; ``start`` is what time it is first, aware UTC."""

    def __init__(self, start: datetime) -> None:
        self.relay = KeptMails()
        stations = [
            ingest.station(IngestPolicy()),
            monitors.station(),
            directory.station(),
            tasks.station(TasksPolicy()),
            mailboxes.station(MailboxPolicy(), Renderer(RenderPolicy(sender="notify@example.com"))),
            deliveries.station(DeliveryPolicy(), self.relay),
        ]
        self.engine = MemoryEngine(stations, start=start)

    def monitor(self, name: str, args: list[dict[str, Any]] | None, **fields: Any) -> None:
        """Put a monitor's record, or with ``args`` None remove it."""
        value = None if args is None else json.dumps({"name": name, "args": args} | fields)
        self.engine.put(MONITOR_CONFIGS, value, key=name.encode())

    def user(self, user_id: str, **fields: Any) -> None:
        """Put a user's record."""
        self.engine.put(USERS, {"user_id": user_id} | fields, key=user_id.encode())

    def ran(self, task_name: str, status: str = "Completed", **fields: Any) -> None:
        """A run of a task has this status now; each is a run of its own."""
        self.engine.put(TASK_EVENTS, {"task_name": task_name, "status": status} | fields)

    def advance(self, **duration: float) -> None:
        """Let time pass; the arguments are timedelta's."""
        self.engine.advance(timedelta(**duration))

    def advance_to(self, at: datetime) -> None:
        """Let time pass until ``at``."""
        self.engine.advance(at - self.engine.now)

    @property
    def results(self) -> list[dict[str, Any]]:
        """All records on monitor-results."""
        return self.engine.values(MONITOR_RESULTS)

    def verdicts(self, task_name: str) -> list[str]:
        """The verdicts on a task, in order."""
        return [result["verdict"] for result in self.results if result.get("task_name") == task_name]

    def mails(self) -> list[tuple[str, str]]:
        """Recipient and subject of all mails sent."""
        return [(mail.to, mail.subject) for mail in self.relay.mails]

    def last_mail(self) -> EmailMessage:
        """The last one sent."""
        return parsed(self.relay.mails[-1].content)
