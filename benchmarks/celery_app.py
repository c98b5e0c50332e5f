"""A Celery app with the integration or without it; ``python -m benchmarks.celery_app COUNT FILE`` sends it tasks.

BENCH_REDIS is the broker, BENCH_INSTALLED whether we are installed, BENCH_TASK_S how long a task takes, BENCH_TIMES a
directory: if it is set, every process writes there how long each receiver of ours took, at its end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, signals

from streamnotify.celery import email_notification, install

WATCHED = (
    "before_task_publish",
    "after_task_publish",
    "task_received",
    "task_prerun",
    "task_success",
    "task_postrun",
)
POLL_S = 0.005
WARM_UP = 100  # tasks before the clock starts

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend=os.environ["BENCH_REDIS"])
app.conf.worker_hijack_root_logger = False
_took: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # nanoseconds: of the clock, of this thread's CPU
_task_s = float(os.environ["BENCH_TASK_S"])


@email_notification()
@app.task(name="works")  # type: ignore[untyped-decorator, unused-ignore] # Celery has no types
def works() -> dict[str, int]:
    """What is measured."""
    if _task_s:
        time.sleep(_task_s)
    return {"total_tests": 10}


def _timed(name: str, receive: Callable[..., object]) -> Callable[..., object]:
    def timed(*arguments: Any, **named: Any) -> object:
        began, cpu = time.perf_counter_ns(), time.thread_time_ns()
        try:
            return receive(*arguments, **named)
        finally:
            _took[name].append((time.perf_counter_ns() - began, time.thread_time_ns() - cpu))

    return timed


def _watch(directory: Path) -> None:
    """Put a clock around our receivers."""
    for name in WATCHED:
        signal = getattr(signals, name)
        ours = [
            (key, _timed(name, receive) if "streamnotify" in receive.__module__ else receive)
            for key, receive in signal.receivers
        ]
        signal.receivers[:] = ours
        signal.sender_receivers_cache.clear()

    def write(**_: Any) -> None:
        (directory / f"{os.getpid()}.json").write_text(json.dumps(_took))

    signals.worker_process_shutdown.connect(write, weak=False)
    signals.worker_shutdown.connect(write, weak=False)


if os.environ["BENCH_INSTALLED"] == "1":
    install(app)
    if os.environ.get("BENCH_TIMES"):
        _watch(Path(os.environ["BENCH_TIMES"]))


def main() -> None:
    """Send so many tasks, wait until Redis has their results; prints the seconds that took, and of its own CPU.

    FILE gets a 1 when the clock starts: every process of the worker has done some tasks by then.
    """
    count, redis = int(sys.argv[1]), app.backend.client
    for result in [works.delay() for _ in range(WARM_UP)]:
        result.get(timeout=60)
    Path(sys.argv[2]).write_text("1")
    began, cpu, before = time.monotonic(), time.process_time(), redis.dbsize()
    for _ in range(count):
        works.delay()
    sent = time.monotonic()
    while redis.dbsize() < before + count:
        time.sleep(POLL_S)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    print(json.dumps({"sending": sent - began, "all": seconds, "cpu": cpu}), flush=True)
    if os.environ.get("BENCH_TIMES"):
        Path(os.environ["BENCH_TIMES"], f"{os.getpid()}.json").write_text(json.dumps(_took))


if __name__ == "__main__":
    main()
