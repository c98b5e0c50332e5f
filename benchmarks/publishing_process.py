"""A process that publishes and measures itself: ``python -m benchmarks.publishing_process BOOTSTRAP_SERVERS COUNT``.

It imports nothing of ours before that is measured; what it found is JSON on standard output.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RATE = 10_000  # events/s
BATCH = 50  # events between two pauses
_PAGE = os.sysconf("SC_PAGE_SIZE")


def measure(servers: str, count: int) -> dict[str, Any]:
    """The figures of this process, which must not have imported the SDK yet."""
    before = _memory_mb()
    began = time.perf_counter()
    from streamnotify import sdk  # noqa: PLC0415 - its import is measured

    import_ms = (time.perf_counter() - began) * 1000
    imported, threads, sockets = _memory_mb(), _threads(), _sockets()
    publisher = sdk.Publisher(sdk.PublisherConfig(bootstrap_servers=servers, source="bench/prod"))
    events = _events(sdk, count)
    first_ms = _timed(publisher, next(events))[0] * 1000
    publisher.wait(5)
    started = _memory_mb()
    began, cpu = time.perf_counter(), time.process_time()
    timed = list(_paced(publisher, events))
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    taken, worked = sorted(each[0] for each in timed), sorted(each[1] for each in timed)
    figures = {
        "import of streamnotify.sdk, ms": round(import_ms),
        "pydantic is imported": "yes" if "pydantic" in sys.modules else "no",
        "first event, ms": round(first_ms, 1),
        "publish p50, µs": round(statistics.median(taken) * 1e6, 1),
        "publish p99, µs": round(taken[len(taken) * 99 // 100] * 1e6, 1),
        "publish p50, CPU of the caller, µs": round(statistics.median(worked) * 1e6, 1),
        "publish p99, CPU of the caller, µs": round(worked[len(worked) * 99 // 100] * 1e6, 1),
        "publish, longest, ms": round(taken[-1] * 1e3, 1),
        "events/s asked for": RATE,
        "events/s": round(len(taken) / wall),
        "CPU, all threads, µs/event": round(cpu / len(taken) * 1e6, 1),
        "memory for the import, MB": round(imported - before, 1),
        "memory for the first event, MB": round(started - imported, 1),
        "memory for the rest, MB": round(_memory_mb() - started, 1),
        "threads": _threads() - threads,
        "connections": _sockets() - sockets,
    }
    publisher.close()
    return figures


def _events(sdk: Any, count: int) -> Iterator[Any]:
    """Every second one the end of a run, with a result for its mail."""
    for number in range(count):
        is_end = number % 2 == 1
        yield sdk.TaskEvent(
            task_name="reports.nightly_sales",
            status=sdk.Status.COMPLETED if is_end else sdk.Status.RUNNING,
            task_id=f"7b1c2d3e-0000-4000-8000-{number // 2:012d}",
            attempt=1,
            duration_s=12.5 if is_end else None,
            organization_id="org-17",
            user_id="user-4711",
            notify=sdk.Notify() if is_end else None,
            result={"test_run_id": "r-7", "total_tests": 120, "tests_passed": 118} if is_end else None,
        )


def _timed(publisher: Any, event: Any) -> tuple[float, float]:
    """Seconds for one event, and of them those of this thread's CPU time, which other work here does not prolong."""
    began, cpu = time.perf_counter(), time.thread_time()
    publisher.publish(event)
    return time.perf_counter() - began, time.thread_time() - cpu


def _paced(publisher: Any, events: Iterator[Any]) -> Iterator[tuple[float, float]]:
    due = time.perf_counter()
    for number, event in enumerate(events):
        yield _timed(publisher, event)
        if number % BATCH == 0:
            due += BATCH / RATE
            time.sleep(max(0.0, due - time.perf_counter()))


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _sockets() -> int:
    """Connections to others: of our descriptors, those that are TCP connections which stand."""
    established = "01"
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    standing = {f"socket:[{line[9]}]" for line in lines if line[3] == established}
    return sum(_target(link) in standing for link in Path("/proc/self/fd").iterdir())


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
