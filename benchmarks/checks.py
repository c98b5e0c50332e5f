"""How long it takes until all of many monitors, due in the same minute, have been checked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.children import BenchmarkFailed, wait
from benchmarks.product import Product
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.wire.topics import MONITOR_CONFIGS, MONITOR_RESULTS

EVENTS = 100_000  # monitors
LIMIT = 10.0  # seconds from the first check to the last (issue 5, must-hold 5)
STATE_LIMIT = 1024  # bytes a monitor's state may take
DEFINED_PER_SECOND = 1_000  # by then at the slowest the monitors must be known; the checks are due after that
WITHIN = 180.0  # seconds after they are due


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if the checks are not made.
    """
    product = Product(stage, "checks")
    product.start_and_wait()
    rows_before = product.disk()
    due = _next_minute(datetime.now(UTC) + timedelta(seconds=30 + count / DEFINED_PER_SECOND))
    stage.publish(f"{product.name}.{MONITOR_CONFIGS.name}", _monitors(count, due))
    _wait_until_known(product, count, due, report)
    state = (product.disk() - rows_before) / count
    cpu = product.worker.cpu()
    first, last = _watch(stage, product, count, due, report)
    cpu = product.worker.cpu() - cpu
    product.worker.stop()
    report.table(
        f"{count:,} monitors due at {due:%H:%M}",
        ("", ""),
        [
            ("first check recorded", f"{first:.1f} s after it was due"),
            ("all checks recorded", f"{last:.1f} s"),
            ("CPU", f"{cpu / count * 1e6:.0f} us/check"),
            ("state on disk", f"{state:.0f} bytes/monitor"),
        ],
    )
    report.verdict("first check to last", last - first, LIMIT, " s", at_most=True)
    report.verdict("state", state, STATE_LIMIT, " bytes/monitor", at_most=True)


def _next_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _monitors(count: int, due: datetime) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        expected = {"expected_statuses": ["Completed"], "notify_to": [], "silence_until": "9999-01-01T00:00:00Z"}
        record = {"crontab": f"{due.minute} {due.hour} * * *", "tasks": {f"pipelines.sync_{number:06d}": expected}}
        yield f"Monitor sync {number:06d}", json.dumps(record).encode()


def _wait_until_known(product: Product, count: int, due: datetime, report: Report) -> None:
    """Every monitor is two commands of the tasks station: its definition, and the check of its task."""
    began = time.monotonic()
    while (known := product.metrics.records("tasks")) < 2 * count:
        product.worker.require_alive()
        report.progress(f"{known // 2:,} of {count:,} monitors known")
        if datetime.now(UTC) > due or not wait(WITHIN + count / DEFINED_PER_SECOND, began):
            raise BenchmarkFailed(f"only {known // 2:,} of {count:,} monitors were known when they were due")
    report.say(f"{count:,} monitors known in {time.monotonic() - began:.1f} s")


def _watch(stage: Stage, product: Product, count: int, due: datetime, report: Report) -> tuple[float, float]:
    """Seconds after they were due at which the first and the last check were recorded."""
    topic, first = f"{product.name}.{MONITOR_RESULTS.name}", None
    while True:
        recorded, late = stage.end_offsets(topic), (datetime.now(UTC) - due).total_seconds()
        if recorded and first is None:
            first = late
        if recorded >= count and first is not None:
            return first, late
        product.worker.require_alive()
        if late > WITHIN:
            raise BenchmarkFailed(f"only {recorded:,} of {count:,} checks were recorded {WITHIN:.0f} s later")
        report.progress(f"{recorded:,} of {count:,} checks recorded")
        time.sleep(0.1)
