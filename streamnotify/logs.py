"""Logging: the standard library's loggers, written as text or JSON lines by structlog."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

import structlog

from streamnotify.errors import SettingsError, TopicsError

# What can begin a new line, move a terminal's cursor, or make a text read as another one.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
REPEATED_AFTER = 60.0  # seconds
_MOST_SENTENCES = 1000
_OF_SEVERAL_LINES = (SettingsError, TopicsError)  # whose text is ours


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Send every log line to ``stream`` (default: standard error).

    Args:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        style: ``text`` for people, ``json`` for one object a line.
        stream: an open text stream.
    """
    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor]
    if style == "json":
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the renderer's own show local variables, passwords and addresses among them.
        plain = structlog.dev.plain_traceback
        final = [structlog.dev.ConsoleRenderer(colors=target.isatty(), pad_event_to=0, exception_formatter=plain)]
    handler = logging.StreamHandler(target)
    handler.addFilter(Repetitions("aiokafka"))
    handler.addFilter(_escape_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    quiet_libraries(level)


def quiet_libraries(level: str) -> None:
    """Let libraries speak one level less than we do, and never at DEBUG.

    Faust and aiokafka tell every step of a start and a stop at INFO; aiokafka's debug records cost 15 % of the GIL
    (latency.md 4). To be called again should anything set up logging after :func:`configure`.
    """
    floor = logging.INFO if level == "DEBUG" else max(logging.getLevelNamesMapping()[level], logging.WARNING)
    for name in ("aiokafka", "asyncio", "faust", "mode"):
        logging.getLogger(name).setLevel(floor)


class Repetitions:
    """Lets each sentence of a library through once a minute.

    aiokafka writes fifty lines a second about a broker that is away, which would fill a disk in an outage.

    Args:
        library: the name of its loggers' root.
        clock: seconds, monotonic.
    """

    def __init__(self, library: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._said: dict[str, float] = {}  # by sentence, without what is filled in
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written; how many like it were left out before is added to it."""
        sentence = str(record.msg)
        if record.name.partition(".")[0] != self._library:
            return True
        now = self._clock()
        if now - self._said.get(sentence, -REPEATED_AFTER) < REPEATED_AFTER:
            self._left_out[sentence] += 1
            return False
        if len(self._said) >= _MOST_SENTENCES:  # it formats some itself
            self._said.clear()
        self._said[sentence] = now
        if left_out := self._left_out.pop(sentence, 0):
            record.msg = f"{sentence} ({left_out} such lines were left out)"
        return True


def visible(text: str) -> str:
    """``text`` with everything escaped that could forge a log line or write to a terminal what is not there."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _escape_arguments(record: logging.LogRecord) -> bool:
    """Task ids, names and addresses come from whoever can publish an event."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(_escaped, record.args))
    return True


def _escaped(argument: object) -> object:
    if isinstance(argument, str) or (isinstance(argument, Exception) and not isinstance(argument, _OF_SEVERAL_LINES)):
        text = str(argument)
        shown = visible(text)
        return argument if shown == text else shown
    return argument
