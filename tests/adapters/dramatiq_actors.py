"""Actors for Dramatiq's workers, on the broker that DRAMATIQ_REDIS names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Middleware, SkipMessage

from streamnotify import sdk
from streamnotify.adapters.dramatiq import TaskEvents

BACKOFF: dict[str, Any] = {"min_backoff": 1, "max_backoff": 1}  # ms


class Choosy(Middleware):
    """Skips what nobody wants."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if message.options.get("unwanted"):
            raise SkipMessage


class Refusing(sdk.Publisher):
    """Breaks what no publisher of ours does."""

    def publish(self, event: sdk.TaskEvent) -> bool:
        raise RuntimeError("no event today")


broker = RedisBroker(url=os.environ["DRAMATIQ_REDIS"], namespace=os.environ["DRAMATIQ_NAMESPACE"])  # type: ignore[no-untyped-call]
broker.add_middleware(TaskEvents())
broker.add_middleware(Choosy())
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
if "REFUSING" in os.environ:
    sdk.set_default_publisher(Refusing())


@dramatiq.actor(max_retries=0, notify={"email": "ann@example.com"})
def succeed(seconds: float = 0) -> dict[str, Any]:
    """Say half-way how far it is."""
    time.sleep(seconds)
    sdk.progress(50, "half of it")
    return {"total_tests": 10, "status": "mine", "nothing": None}


@dramatiq.actor(max_retries=0)
async def succeed_later() -> None:
    """The same on an event loop."""
    sdk.progress(50, "half of it")


@dramatiq.actor(max_retries=0, **BACKOFF)
def fail() -> None:
    """Fail, always."""
    raise ValueError("no such ingestor")


@dramatiq.actor(max_retries=0, throws=LookupError)
def fail_as_declared() -> None:
    """Fail in a way that its author knew of."""
    raise KeyError("ingestor")


@dramatiq.actor(max_retries=0, **BACKOFF)
def fail_at_first(seen: str) -> None:
    """Fail unless the file is there, and make it.

    Args:
        seen: its path.
    """
    if not Path(seen).exists():
        Path(seen).touch()
        raise ValueError("not yet")


@dramatiq.actor(max_retries=0, time_limit=100)
def take_too_long() -> None:
    """Dramatiq interrupts it between two lines of Python."""
    for _ in range(6000):
        time.sleep(0.01)
