"""Feedback and deliveries in memory, before a relay that answers what it is told to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from streamnotify.domain.delivery import AttemptResult, DeliveryPolicy, Outcome, OutgoingMail
from streamnotify.smtp.sender import Sender
from streamnotify.stations import deliveries, feedback
from streamnotify.stations.context import Attempt
from streamnotify.testing.memory import MemoryEngine, MemoryStore
from streamnotify.wire.commands import DeliverMail, OutboxCommand, RecordResult
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_FEEDBACK, NOTIFICATION_STATUS, OUTBOX
from tests.smtp import jumping_clock
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.relays import ScriptedRelay

ANN = "ann@example.com"


class Relay:
    """Answers what it is told to, and remembers whom it was asked to write to."""

    at_once = 1

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: dict[str, Any] = {"outcome": Outcome.SENT}
        self.while_waiting: Callable[[], None] = lambda: None

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Answer."""
        self.while_waiting()
        check_lease()
        self.asked.append(mail.notification_id)
        return AttemptResult(mail.notification_id, attempt, **self.answer)

    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()


class Product:
    """The two stations in memory."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.engine = MemoryEngine([feedback.station(), deliveries.station(DeliveryPolicy(), self.relay)])
        self.numbers = itertools.count(1)

    def mail(self, to: str = ANN, *, settle: bool = True, **fields: Any) -> str:
        """Put a mail into the outbox; its notification."""
        name = f"n{next(self.numbers)}"
        now = self.engine.now
        mail = a_mail(notification_id=name, to=to, created_at=now, expires_at=now + timedelta(days=3), **fields)
        self.engine.put(OUTBOX, OUTBOX.encode(DeliverMail(mail)), key=to.lower().encode(), settle=settle)
        return name

    def tell(self, command: OutboxCommand, *, settle: bool = True) -> None:
        """Put another station's command into the outbox."""
        self.engine.put(OUTBOX, OUTBOX.encode(command), key=ANN.encode(), settle=settle)

    @property
    def given_back(self) -> list[tuple[str, Any]]:
        """Key and command of what mailboxes were told."""
        assert MAILBOXES.decode is not None
        return [
            ((record.key or b"").decode(), MAILBOXES.decode(record.value or b""))
            for record in self.engine.records(MAILBOXES)
        ]

    def feedback(self, event: str, email: str = ANN, **fields: Any) -> None:
        """Put a delivery event."""
        self.engine.put(NOTIFICATION_FEEDBACK, {"event": event, "email": email} | fields)

    def status(self, notification_id: str) -> tuple[str, str | None]:
        """The latest status of a mail, and its reason."""
        said = [each for each in self.engine.values(NOTIFICATION_STATUS) if each["notification_id"] == notification_id]
        return said[-1]["status"], said[-1].get("reason")


class OneMail:
    """A mail of Ann's, and what hands it to a relay in a clock that jumps."""

    def __init__(self, relay: ScriptedRelay, **fields: Any) -> None:
        self.store = MemoryStore()
        self.sender = Sender(a_policy(relay.port), jumping_clock.now)
        now = jumping_clock.now()
        self.mail = a_mail(created_at=now, expires_at=now + timedelta(days=3), **fields)
        self.persist(deliveries.MAIL, "n1", self.mail)

    def attempted(self, number: int) -> asyncio.Future[RecordResult]:
        """An attempt that has begun."""
        attempt = Attempt("n1", number, self.store, lease_held)
        return asyncio.ensure_future(deliveries.performer(self.sender).perform(attempt))

    def persist(self, row: Row[Any], key: str, value: Any) -> None:
        """The station has written a row."""
        self.store.rows[row.key(key)] = row.encode(value)
