"""aiokafka on uvloop: writing to a connection that has just been closed is an error of that connection, and no more.

asyncio's own transports drop such a write; uvloop's raise RuntimeError, which aiokafka does not expect (its issue
1038): it ends whichever background task wrote. Without the one that updates the metadata, a consumer waits for a group
coordinator forever.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_WRITERS = ("send", "_send_sasl_token")


def make_closed_connections_known() -> None:
    """Have every connection of this process raise KafkaConnectionError where uvloop says that it is closed."""
    for name in _WRITERS:
        write = getattr(AIOKafkaConnection, name)
        if not hasattr(write, "__wrapped__"):
            setattr(AIOKafkaConnection, name, _guarded(write))


def _guarded(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def guarded(connection: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return write(connection, *arguments, **named)
        except RuntimeError as error:
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {error}") from error

    return guarded
