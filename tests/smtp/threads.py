"""SMTP servers in a thread of their own, for what blocks the test's and for worker processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from tests.smtp.relays import Relay, ScriptedRelay, a_relay

T = TypeVar("T")


class LoopThread:
    """An event loop that runs in a thread until :meth:`end`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay")
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` returns, done in that loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def end(self) -> None:
        """Stop the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def scripted(**answers: Any) -> Iterator[ScriptedRelay]:
    """A relay that answers what it is told to."""
    with _running(ScriptedRelay(**answers)) as relay:
        yield relay


@contextmanager
def in_a_thread(**relay: Any) -> Iterator[Relay]:
    """A relay that behaves."""
    with _running(a_relay(**relay)) as running:
        yield running


@contextmanager
def _running(relay: AbstractAsyncContextManager[T]) -> Iterator[T]:
    loop = LoopThread()
    try:
        yield loop.call(_entered(relay))
    finally:
        loop.call(_left(relay))
        loop.end()


async def _entered(relay: AbstractAsyncContextManager[T]) -> T:
    return await relay.__aenter__()


async def _left(relay: AbstractAsyncContextManager[Any]) -> None:
    await relay.__aexit__(None, None, None)
