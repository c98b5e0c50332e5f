"""A scripted relay for worker processes to talk to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.smtp.relays import Answer, ScriptedRelay


class ThreadedRelay:
    """A scripted relay with an event loop of its own; its port stays closed until :meth:`open` is called."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._relay: ScriptedRelay | None = None

    def open(self, **answers: Answer | list[Answer]) -> ScriptedRelay:
        """Answer from now on, as told."""
        self.close()
        self._relay = ScriptedRelay(**answers)
        self._call(self._relay.listen(self._port))
        return self._relay

    def close(self) -> None:
        """Hang up and refuse connections."""
        if self._relay is not None:
            self._call(self._relay.__aexit__(None, None, None))
            self._relay = None

    def end(self) -> None:
        """Close, and end the thread."""
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
