"""An event loop whose clock jumps to the next timer when nothing else happens: hours of waiting pass at once.

Sockets are real. The clock jumps only after none of them had anything to say for 10 ms of real time, which on loopback,
with both ends in this loop, means that nothing is on its way.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
_QUIET = 0.010
_STARTED = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)


class _JumpingSelector(selectors.DefaultSelector):
    jumped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(_QUIET)
        if not ready:
            self.jumped += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop; :meth:`now` is its clock as an instant."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped  # and nothing else: how long the machine really takes changes no figure

    def now(self) -> datetime:
        """Half past two on a day in 2024, plus the time that has passed."""
        return _STARTED + timedelta(seconds=self.time())


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in a :class:`JumpingLoop`."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)


def now() -> datetime:
    """The running loop's clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    return loop.now()
