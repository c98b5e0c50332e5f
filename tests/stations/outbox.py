"""The mails that stations have put into the outbox of the in-memory engine."""

from __future__ import annotations

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire.topics import OUTBOX


def mails_of(engine: MemoryEngine) -> list[OutgoingMail]:
    """All of them, in their order."""
    assert OUTBOX.decode is not None
    return [OUTBOX.decode(record.value or b"").mail for record in engine.records(OUTBOX)]
