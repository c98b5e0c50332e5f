"""Logging: the standard library's loggers, written as text or JSON lines by structlog."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


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
