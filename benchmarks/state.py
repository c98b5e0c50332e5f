"""A million runs in state: memory, disk, and how long a start takes with the disk and without it."""

from __future__ import annotations

import re
import time

from benchmarks.children import BenchmarkFailed
from benchmarks.events import events
from benchmarks.product import Product
from benchmarks.report import Report
from benchmarks.stage import Stage

EVENTS = 1_000_000  # runs
WITHIN = 600.0  # seconds for all to be applied
MEMORY, RESTORE, START = 1.0, 30.0, 10.0  # GB, s, s: what must hold
GB, MB = 1e9, 1e6
_RESTORED = re.compile(r"restored (\d+) rows")


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if the runs are not applied, or the worker does not come back, in time.
    """
    product = Product(stage, "state")
    published = ((event.task_id, event.value) for event in events(count, per_run=1))
    stage.publish(product.events_topic, published)
    product.start()
    _until_applied(product, count, report)
    loaded, peak, disk = product.memory(), product.memory("VmHWM"), product.disk()
    product.worker.kill()
    product.lose_state()
    report.say("state: killed, state directory removed, starting again")
    empty_start = product.start_and_wait()
    restore = product.metrics.value("streamnotify_state_restore_seconds")
    rows = sum(int(number) for number in _RESTORED.findall(product.worker.log.read_text()))
    restored, restored_peak, restored_disk = product.memory(), product.memory("VmHWM"), product.disk()
    product.worker.stop()
    report.say("state: stopped, starting again")
    disk_start = product.start_and_wait()
    idle = product.memory()
    product.worker.stop()
    most = max(loaded, peak, restored_peak, idle)
    table = [
        ("rows restored", f"{rows:,}"),
        ("memory after taking them in (RSS, most)", f"{loaded / MB:,.0f} MB, {peak / MB:,.0f} MB"),
        ("memory after the restore (RSS, most)", f"{restored / MB:,.0f} MB, {restored_peak / MB:,.0f} MB"),
        ("memory after a start with the disk (RSS)", f"{idle / MB:,.0f} MB"),
        ("on disk after taking them in, after the restore", f"{disk / MB:,.0f} MB, {restored_disk / MB:,.0f} MB"),
        ("restore on an empty disk", f"{restore:.1f} s"),
        ("start after kill -9 on an empty disk, until ready", f"{empty_start:.1f} s"),
        ("start after a stop with the disk, until ready", f"{disk_start:.1f} s"),
    ]
    report.table(f"State: {count:,} runs", ("", ""), table)
    report.verdict("memory", most / GB, MEMORY, " GB", at_most=True)
    report.verdict("restore on an empty disk", restore, RESTORE, " s", at_most=True)
    report.verdict("start with the disk", disk_start, START, " s", at_most=True)


def _until_applied(product: Product, count: int, report: Report) -> None:
    began = time.monotonic()
    while (done := product.applied(count)) < count:
        product.worker.require_alive()
        if time.monotonic() - began > WITHIN:
            raise BenchmarkFailed(f"only {done:,} runs were taken in in time:\n{product.worker.log_tail()}")
        report.progress(f"{done:,} of {count:,} runs")
        time.sleep(0.2)
    report.say(f"state: {count:,} runs taken in after {time.monotonic() - began:.1f} s")
