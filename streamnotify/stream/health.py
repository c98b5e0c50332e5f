"""/livez, /readyz and /metrics of the engine process (research/kafka-ops.md section 4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

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
        remarks: what whoever asks for readiness should know besides, a line each; asked in the server's thread. They
            change no status.

    Raises:
        SettingsError: at start, if there is no such address here, or no port of it is free.
    """

    def __init__(
        self,
        live: Callable[[], bool],
        unready: Callable[[], str | None],
        host: str,
        port: int,
        *,
        remarks: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._live = live
        self._unready = unready
        self._remarks = remarks
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
            lines = [f"not ready: {why}" if why else "ready", *self._remarks()]
            return (503 if why else 200), "text/plain", "".join(f"{line}\n" for line in lines).encode(errors="replace")
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        return 404, "text/plain", b"try /livez, /readyz or /metrics\n"
