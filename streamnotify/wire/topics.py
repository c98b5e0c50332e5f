"""The topics by their logical names, and how a value on each is encoded.

How each topic is laid out on the broker is declared in :mod:`streamnotify.wire.topic_layout`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic

from streamnotify.wire import commands

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic stations read or emit to.

    Args:
        name: public: the name of SPEC section 2; internal: its last part (``<prefix><app id>-<name>`` on the broker).
        internal: True if only the engine reads and writes it.
        encode: one value to bytes.
        decode: bytes to the command (internal topics only).
    """

    name: str
    internal: bool
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any] | None = None


def _json(record: pydantic.BaseModel | msgspec.Struct) -> bytes:
    """A model without what is None, or a record that is as quick to write and leaves its defaults out."""
    if isinstance(record, msgspec.Struct):
        return _encode_json(record)
    return record.model_dump_json(exclude_none=True).encode()


def _internal(name: str, union: Any) -> Topic:
    return Topic(name, internal=True, encode=_encode, decode=msgspec.msgpack.Decoder(union).decode)


TASK_EVENTS = Topic("task-events", internal=False, encode=_json)
MONITOR_CONFIGS = Topic("monitor-configs", internal=False, encode=_json)
MONITOR_RESULTS = Topic("monitor-results", internal=False, encode=_json)
USERS = Topic("users", internal=False, encode=_json)
USER_PREFERENCES = Topic("user-preferences", internal=False, encode=_json)
NOTIFICATION_FEEDBACK = Topic("notification-feedback", internal=False, encode=_json)
NOTIFICATION_STATUS = Topic("notification-status", internal=False, encode=_json)
DEAD_LETTERS = Topic("dead-letters", internal=False, encode=bytes)

TASKS = _internal("tasks", commands.TasksCommand)
MAILBOXES = _internal("mailboxes", commands.MailboxesCommand)
OUTBOX = _internal("outbox", commands.OutboxCommand)
ANSWERS = _internal("answers", commands.Answer)
