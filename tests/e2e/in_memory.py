"""The whole product on the in-memory engine: records in as people type them, mails out, a clock to be advanced."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from streamnotify.domain.delivery import AttemptResult, DeliveryPolicy, Outcome, OutgoingMail
from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import deliveries, directory, feedback, ingest, mailboxes, monitors, tasks
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.topics import (
    MONITOR_CONFIGS,
    MONITOR_RESULTS,
    NOTIFICATION_FEEDBACK,
    NOTIFICATION_STATUS,
    TASK_EVENTS,
    USER_PREFERENCES,
    USERS,
)
from tests.e2e.product import parsed
from tests.stations.at_once import NO_DIGESTS

RENDERING = RenderPolicy(sender="notify@example.com")


class KeptMails:
    """A relay that takes every mail and keeps it, unless it is down; then it may say how long to wait."""

    at_once = 1

    def __init__(self) -> None:
        self.mails: list[OutgoingMail] = []
        self.is_down = False
        self.asks_to_wait: timedelta | None = None

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Take it."""
        if self.is_down:
            away = Outcome.UNREACHABLE
            return AttemptResult(mail.notification_id, attempt, away, stage="connect", retry_in=self.asks_to_wait)
        check_lease()
        self.mails.append(mail)
        return AttemptResult(mail.notification_id, attempt, Outcome.SENT, stage="dot", code=250)

    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()


class InMemoryProduct:
    """All stations.

    Args:
        start: what time it is first, aware UTC.
        lanes: when mails are squashed into digests; each goes at once unless it is given.
        rendering: how mails look.
    """

    def __init__(
        self,
        start: datetime,
        lanes: Mapping[Lane, LanePolicy] = NO_DIGESTS,
        rendering: RenderPolicy = RENDERING,
    ) -> None:
        self.relay = KeptMails()
        stations = [
            ingest.station(IngestPolicy()),
            monitors.station(),
            directory.station(),
            tasks.station(TasksPolicy()),
            mailboxes.station(MailboxPolicy(lanes=lanes), Renderer(rendering)),
            feedback.station(),
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

    def no_user(self, user_id: str) -> None:
        """Remove a user's record."""
        self.engine.put(USERS, None, key=user_id.encode())

    def prefers(self, key: str, record: dict[str, Any] | None) -> None:
        """Put what a user, an address or ``organization:<id>`` prefers; None removes it."""
        self.engine.put(USER_PREFERENCES, record, key=key.encode())

    def read(self, notification_id: str) -> None:
        """Somebody has seen a notification elsewhere."""
        self.engine.put(NOTIFICATION_FEEDBACK, {"event": "read", "notification_id": notification_id})

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

    def statuses(self, *steps: str) -> list[dict[str, Any]]:
        """The records on notification-status that say one of these."""
        return [status for status in self.engine.values(NOTIFICATION_STATUS) if status["status"] in steps]

    def last_mail(self) -> EmailMessage:
        """The last one sent."""
        return parsed(self.relay.mails[-1].content)
