"""A small HTTP server for short answers to GET, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streamnotify.errors import SettingsError

PORTS_TRIED = 20  # the asked-for port, or the next free one: workers of one machine share a setting

Answer = Callable[[str], tuple[int, str, bytes]]  # of a path: status, content type and body


class HttpAnswers:
    """Answers until it is stopped, or the process ends.

    Args:
        answer: asked in the server's threads.
        host: address to bind.
        port: port to bind, or the next free one after it; 0 for any.
    """

    def __init__(self, answer: Answer, host: str, port: int) -> None:
        self._answer = answer
        self._host = host
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> tuple[str, int]:
        """Bind and answer from now on; host and port.

        Raises:
            SettingsError: if there is no such address here, or no port of it is free.
        """
        self._server = self._bind()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="health", daemon=True).start()
        host, port = self._server.server_address[:2]
        return str(host), port

    def stop(self) -> None:
        """Answer no more; the port is free then."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _bind(self) -> ThreadingHTTPServer:
        handler = _handler(self._answer)
        for port in range(self._port, self._port + PORTS_TRIED):
            try:
                return ThreadingHTTPServer((self._host, port), handler)
            except (OSError, OverflowError) as exc:
                taken = exc
        allowed = f"an address of this machine with a free port among {PORTS_TRIED} is allowed"
        raise SettingsError(f"STREAMNOTIFY_HEALTH_BIND is {self._host}:{self._port}: {allowed} ({taken})") from taken


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = answer(self.path.split("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Health checks are not worth a line each."""

    return Handler
