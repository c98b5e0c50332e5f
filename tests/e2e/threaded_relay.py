"""A scripted relay for worker processes to talk to."""

from __future__ import annotations

from tests.smtp.relays import Answer, ScriptedRelay
from tests.smtp.threads import LoopThread


class ThreadedRelay:
    """A scripted relay whose port stays closed until :meth:`open` is called."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = LoopThread()
        self._relay: ScriptedRelay | None = None

    def open(self, **answers: Answer | list[Answer]) -> ScriptedRelay:
        """Answer from now on, as told."""
        self.close()
        self._relay = ScriptedRelay(**answers)
        self._loop.call(self._relay.listen(self._port))
        return self._relay

    def close(self) -> None:
        """Hang up and refuse connections."""
        if self._relay is not None:
            self._loop.call(self._relay.__aexit__(None, None, None))
            self._relay = None

    def end(self) -> None:
        """Close, and end the thread."""
        self.close()
        self._loop.end()
