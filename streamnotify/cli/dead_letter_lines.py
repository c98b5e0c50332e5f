"""What commands say about a dead letter."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from streamnotify.stream.dead_letter_replay import letter_id
from streamnotify.stream.topic_reader import header_pairs
from streamnotify.wire import dead_letter

_SHOWN_BYTES = 100_000


def summary(message: Message) -> dict[str, Any]:
    """What is known about a dead letter from its headers; absent ones are None."""
    headers = headers_of(message)
    source = f"{headers.get(dead_letter.TOPIC)}-{headers.get(dead_letter.PARTITION)}@{headers.get(dead_letter.OFFSET)}"
    return {
        "id": letter_id(message),
        "failed_at": headers.get(dead_letter.FAILED_AT),
        "source": source,
        "stage": headers.get(dead_letter.STAGE),
        "class": headers.get(dead_letter.ERROR_CLASS),
        "reason": headers.get(dead_letter.REASON),
        "field": headers.get(dead_letter.FIELD),
    }


def headers_of(message: Message) -> dict[str, str]:
    """Its headers as text; of a name that is there twice the last, which is ours."""
    return {name: text_of(value) or "" for name, value in header_pairs(message)}


def text_of(data: str | bytes | None) -> str | None:
    """Bytes as text, as far as a person will read."""
    return data[:_SHOWN_BYTES].decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
