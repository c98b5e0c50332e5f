"""How the demo shows what came out: a line or two for each thing."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from streamnotify.devtools.inbox import ReceivedMail
from streamnotify.wire.dead_letter import MESSAGE

_SHOWN = 110  # characters of a record


def mail_line(mail: ReceivedMail) -> str:
    """To whom, and its subject."""
    return f'mail to {", ".join(mail.recipients)}: "{mail.subject}"'


def dead_letter_line(record: Message) -> str:
    """What it was, and why it could not be used."""
    reason = dict(record.headers() or []).get(MESSAGE)  # with the field in front
    said = reason.decode() if isinstance(reason, bytes) else "no reason given"
    return f"dead letter: {cut((record.value() or b'').decode('utf-8', 'replace'))}\n    because: {said}"


def suppressed_line(status: dict[str, Any]) -> str:
    """For whom there is no mail, about what, and why."""
    return f"no mail about {status.get('task_name')} {status.get('task_id', '')}: {status['reason']}"


def wish_line(record: Message) -> str:
    """Who wants what, as the record says it."""
    key, value = ((part or b"").decode("utf-8", "replace") for part in (record.key(), record.value()))
    return f"a wish on user-preferences: {key} | {cut(value)}"


def cut(text: str) -> str:
    """As much of it as a line has room for."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
