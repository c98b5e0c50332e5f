"""What the supervisor answers at the address of /livez and /readyz while there is no engine process that does.

An engine that waits for Kafka ends and is started again, over and over. To start its supervisor anew, as an
orchestrator would do with what does not answer, would change nothing about that.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from streamnotify.errors import SettingsError
from streamnotify.stream.http_answers import HttpAnswers

logger = logging.getLogger(__name__)


@contextmanager
def standing_in(host: str, port: int) -> Iterator[None]:
    """Answer within the block: alive, but not ready. Afterwards the port is free for the engine.

    Args:
        host: where the engine process listens.
        port: likewise; with 0 nobody would know where we do, and nothing is answered.
    """
    answers = HttpAnswers(_answer, host, port)
    if port:
        try:
            answers.start()
        except SettingsError as error:
            logger.warning("nobody answers health checks meanwhile: %s", error)
    try:
        yield
    finally:
        answers.stop()


def _answer(path: str) -> tuple[int, str, bytes]:
    if path == "/livez":
        return 200, "text/plain", b"ok: the engine process will be started again\n"
    return 503, "text/plain", b"not ready: the engine process will be started again\n"
