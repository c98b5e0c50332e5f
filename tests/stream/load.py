"""Load on the test pipeline, and a supervisor for its workers."""

from __future__ import annotations

import random
import threading
import time
from types import TracebackType
from typing import Any, Self

from streamnotify.stream.worker import EXIT_FAILED
from tests.stream.kafka_pipeline import KafkaPipeline

KEYS = 3000


def put_for(deployment: KafkaPipeline, seconds: float, rng: random.Random, per_second: int = 3000) -> None:
    """Publish numbers at a steady rate."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(per_second // 50):
            deployment.put(f"k{rng.randrange(KEYS)}")
        time.sleep(0.02)


class Supervision:
    """Starts workers again that end with EXIT_FAILED, as streamnotify's supervisor does; nothing else is mended.

    Args:
        deployment: whose workers.
        told: what each worker is told at its start, by number.
    """

    def __init__(self, deployment: KafkaPipeline, told: dict[int, dict[str, Any]]) -> None:
        self.failures: dict[int, int] = dict.fromkeys(told, 0)
        self._deployment = deployment
        self._told = told
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervision", daemon=True)

    def __enter__(self) -> Self:
        for worker, told in self._told.items():
            self._deployment.start(worker, **told)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            for worker, told in self._told.items():
                if self._deployment.workers[worker].poll() == EXIT_FAILED:
                    self.failures[worker] += 1
                    self._deployment.start(worker, **told)
