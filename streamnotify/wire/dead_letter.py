"""The headers of a dead letter; key, value and the record's own headers stay untouched (SPEC 2.4)."""

from __future__ import annotations

import enum
import traceback
from datetime import datetime

from streamnotify.errors import BadRecord

# The six names Kafka Streams uses (KIP-1034), so that tools that know them show ours too.
TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"
EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
STACKTRACE = "__streams.errors.stacktrace"

STAGE = "sn-stage"  # the station that could not use it
ERROR_CLASS = "sn-error-class"
REASON = "sn-reason"  # in words for a person
FIELD = "sn-field"  # path of the offending field, absent if the record as a whole is wrong
ATTEMPTS = "sn-attempts"
FAILED_AT = "sn-failed-at"  # RFC 3339, UTC
REPLAY_COUNT = "sn-replay-count"  # how often it has been replayed before

MESSAGE_LIMIT = 1024  # characters
STACKTRACE_LIMIT = 4096  # characters; the end of a trace says most


class ErrorClass(enum.StrEnum):
    """Whose fault it was."""

    POISON = "poison"  # the record can never be used
    EXHAUSTED = "exhausted"  # handling it failed at every try


def dead_letter_headers(
    *,
    topic: str,
    partition: int,
    offset: int,
    stage: str,
    error: BaseException,
    attempts: int,
    failed_at: datetime,
    replay_count: int = 0,
) -> list[tuple[str, bytes]]:
    """The headers that say what was wrong with a record, to be put after its own.

    Args:
        topic: where the record lay, with ``partition`` and ``offset``.
        stage: name of the station.
        error: why it could not be used; a BadRecord gives reason and field.
        attempts: how often it was handled.
        failed_at: aware instant of the verdict.
        replay_count: how often the record has been replayed from the dead letters before.
    """
    kind = type(error)
    trace = "".join(traceback.format_exception(error))
    headers = {
        TOPIC: topic,
        PARTITION: str(partition),
        OFFSET: str(offset),
        EXCEPTION: f"{kind.__module__}.{kind.__qualname__}",
        MESSAGE: str(error)[:MESSAGE_LIMIT],
        STACKTRACE: trace[-STACKTRACE_LIMIT:],
        STAGE: stage,
        ERROR_CLASS: ErrorClass.POISON if isinstance(error, BadRecord) else ErrorClass.EXHAUSTED,
        REASON: (error.reason if isinstance(error, BadRecord) else str(error) or kind.__name__)[:MESSAGE_LIMIT],
        ATTEMPTS: str(attempts),
        FAILED_AT: failed_at.isoformat(),
        REPLAY_COUNT: str(replay_count),
    }
    if isinstance(error, BadRecord) and error.field is not None:
        headers[FIELD] = error.field[:MESSAGE_LIMIT]
    return [(name, text.encode(errors="replace")) for name, text in headers.items()]
