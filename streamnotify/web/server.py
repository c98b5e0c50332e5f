"""Serves the web application until the process is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Sequence

import uvicorn
from starlette.types import ASGIApp

from streamnotify.errors import SettingsError
from streamnotify.logs import Repetitions
from streamnotify.web.connections import Connection

logger = logging.getLogger(__name__)

_MOST_AT_A_TIME = 200  # requests; more are answered with 503
_LONGEST_HEAD = 16 * 1024  # bytes of a request's line and headers


def serve(app: ASGIApp, host: str, port: int, notes: Sequence[str] = ()) -> None:
    """Serve ``app`` until SIGTERM or Ctrl-C; requests that have begun are finished, for ten seconds at most.

    Args:
        app: the application.
        host: address to bind.
        port: port to bind; 0 for any. What it is is logged.
        notes: what is logged besides, once it is bound: who is refused reads the reason only.

    Raises:
        SettingsError: if it cannot be bound.
    """
    listening = _bound(host, port)
    logging.getLogger("uvicorn.error").addFilter(_seldom(Repetitions("uvicorn")))
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,  # a request's path is as good as the right to unsubscribe
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MOST_AT_A_TIME,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it serves; these are for before, and for what it raises again after.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    shown = f"[{host}]" if ":" in host else host
    for note in notes:
        logger.info("%s", note)
    logger.info("Pages on http://%s:%d", shown, listening.getsockname()[1])
    server.run(sockets=[listening])


def _seldom(repetitions: Repetitions) -> Callable[[logging.LogRecord], bool]:
    """The filter for what anybody can have logged, as often as they like, by sending what is no HTTP."""
    return lambda record: record.levelno > logging.WARNING or repetitions.filter(record)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"STREAMNOTIFY_HTTP_BIND is {host}:{port}: a free port of an address of this machine is allowed ({error})"
        ) from error
