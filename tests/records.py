"""Looking at records."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message


def headers_of(record: Message) -> dict[str, str]:
    """A record's headers as text."""
    headers: Any = record.headers() or []
    return {name: (value or b"").decode(errors="replace") for name, value in headers}
