"""/livez, /readyz and /metrics of the engine process (research/kafka-ops.md section 4)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streamnotify.stream.http_answers import HttpAnswers

logger = logging.getLogger(__name__)


class HealthServer:
    """Answers health checks from a thread of its own, so that a stuck event loop shows.

    Args:
        live: whether the event loop beats; asked, as ``unready``, in the server's thread.
        unready: why the worker is not ready, None if it is.
        host: address to bind.
        port: port to bind, or the next free one after it; 0 for any.

    Raises:
        SettingsError: at start, if there is no such address here, or no port of it is free.
    """

    def __init__(self, live: Callable[[], bool], unready: Callable[[], str | None], host: str, port: int) -> None:
        self._live = live
        self._unready = unready
        self._host = host
        self._port = port

    def start(self) -> tuple[str, int]:
        """Bind and answer from now on, until the process ends; returns host and port, which are logged."""
        host, port = HttpAnswers(self.answer, self._host, self._port).start()
        logger.info("health and metrics on http://%s:%d", host, port)
        return host, port

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        if path == "/livez":
            live = self._live()
            return (200 if live else 503), "text/plain", b"ok\n" if live else b"the event loop is stuck\n"
        if path == "/readyz":
            why = self._unready()
            return (503, "text/plain", f"not ready: {why}\n".encode()) if why else (200, "text/plain", b"ready\n")
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        return 404, "text/plain", b"try /livez, /readyz or /metrics\n"
