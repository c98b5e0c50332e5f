"""The SMTP servers of :mod:`tests.smtp.relays` in a thread of their own, for what blocks the test's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from tests.smtp.relays import Relay, ScriptedRelay, a_relay

T = TypeVar("T")


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
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="relay")
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(relay.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(relay.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
