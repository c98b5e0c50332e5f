"""Mails and policies for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.smtp.policy import SmtpPolicy, Tls

CONTENT = b"From: noreply@example.com\r\nTo: ann@example.com\r\nSubject: Hi\r\n\r\n.leading dot\r\n..two\r\nlast\r\n"


def a_mail(**fields: Any) -> OutgoingMail:
    """A mail to Ann, not expired, as ``fields`` say."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "notification_id": "n1",
        "kind": "task_completion",
        "to": "ann@example.com",
        "sender": "noreply@example.com",
        "message_id": "task_completion.n1@example.com",
        "subject": "Hi",
        "content": CONTENT,
        "created_at": now,
        "expires_at": now + timedelta(days=3),
        "task_name": "nightly-report",
        "task_id": "run-1",
    }
    return OutgoingMail(**values | fields)


def a_policy(port: int, **fields: Any) -> SmtpPolicy:
    """The relay at ``port``, in clear, with time-outs no test waits for unless it says so."""
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "sender": "noreply@example.com",
        "port": port,
        "tls": Tls.NONE,
        "quit_timeout": timedelta(seconds=0.5),
    }
    return SmtpPolicy(**values | fields)


def lease_held() -> None:
    """A lease that is never lost."""
