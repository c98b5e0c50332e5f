"""The read model: how fast `streamnotify web` builds it from nothing, and how long what pages ask of it takes."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.children import BenchmarkFailed, disk_bytes, wait
from benchmarks.notification_records import (
    BIG_DIGEST,
    ORGANIZATIONS,
    PEOPLE,
    RARE_ORGANIZATION,
    TASKS,
    name_of,
    records,
)
from benchmarks.rates import percentile
from benchmarks.report import Report
from benchmarks.stage import PARTITIONS, Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.web.read_model.answers import Freshness
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.schema import file_in
from streamnotify.wire.topic_layout import layouts
from streamnotify.wire.topics import MONITOR_RESULTS, NOTIFICATION_STATUS, TASK_EVENTS

EVENTS = 1_000_000  # notifications
RUNS_SHARE = 4  # one run, of two events, for so many notifications
RESULTS_SHARE = 10  # one check for so many
TIMES = 200  # each query is asked
FLOOR = 20_000  # records/s (issue 8, must-hold 3)
SLOWEST = 100.0  # ms, p95
WITHIN = 900.0  # seconds

Ask = Callable[[ReadModel, int], Any]  # a random number chooses what is asked for


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if it is not built in time.
    """
    prefix = "readmodel."
    stage.apply(layouts(prefix, "streamnotify", PARTITIONS, 1))
    total = stage.publish(f"{prefix}{NOTIFICATION_STATUS.name}", records(count))
    total += stage.publish(f"{prefix}{TASK_EVENTS.name}", _runs(max(count // RUNS_SHARE, 1)))
    total += stage.publish(f"{prefix}{MONITOR_RESULTS.name}", _results(max(count // RESULTS_SHARE, 1)))
    data_dir = stage.directory / "read-model"
    seconds, cpu, memory = _build(stage, prefix, data_dir, total, report)
    model = ReadModel(file_in(data_dir))
    times = {what: _times(model, ask, count) for what, ask in QUERIES.items()}
    report.table(
        f"A read model of {count:,} notifications, built from {total:,} records",
        ("", ""),
        [
            ("built in", f"{seconds:.0f} s"),
            ("records/s", f"{total / seconds:,.0f}"),
            ("CPU", f"{cpu / total * 1e6:.0f} us/record"),
            ("most memory of the process", f"{memory / 1e6:.0f} MB"),
            ("on disk", f"{disk_bytes(data_dir) / 1e6:,.0f} MB"),
        ],
    )
    report.table(
        f"Queries, {TIMES} times each, ms",
        ("", "p50", "p95", "max"),
        [
            (what, *(f"{each:.1f}" for each in (percentile(taken, 0.5), percentile(taken, 0.95), max(taken))))
            for what, taken in times.items()
        ],
    )
    report.verdict("built", total / seconds, FLOOR, " records/s")
    slowest = max(percentile(taken, 0.95) for taken in times.values())
    report.verdict("slowest query, p95", slowest, SLOWEST, " ms", at_most=True)


def _runs(count: int) -> Iterator[tuple[str, bytes]]:
    began = datetime.now(UTC) - timedelta(days=6)
    for number in range(count):
        at = began + number * timedelta(days=6) / count
        run = {
            "task_name": f"pipelines.customer_sync_{number % TASKS:04d}.load",
            "task_id": f"run-{number:010d}",
            "organization_id": f"org-{number % ORGANIZATIONS:03d}",
            "user_id": f"user-{number % PEOPLE:05d}",
        }
        end = "Stopped" if number % 211 == 0 else "Completed"
        for status, after in (("Running", 0), (end, 30)):
            event = run | {"status": status, "occurred_at": (at + timedelta(seconds=after)).isoformat()}
            yield run["task_id"], json.dumps(event).encode()


def _results(count: int) -> Iterator[tuple[str, bytes]]:
    began = datetime.now(UTC) - timedelta(days=20)
    for number in range(count):
        at = (began + number * timedelta(days=20) / count).isoformat()
        task_name = f"pipelines.customer_sync_{number % TASKS:04d}.load"
        verdict = "ok" if number % 50 else "status_mismatch"
        result = {"monitor": f"Monitor {number % 100}", "task_name": task_name, "verdict": verdict}
        yield task_name, json.dumps(result | {"check_time": at, "evaluated_at": at, "lookback_hours": 1}).encode()


def _build(stage: Stage, prefix: str, data_dir: Path, total: int, report: Report) -> tuple[float, float, int]:
    """Seconds until it has caught up, with the process's start; its CPU seconds, and its most memory in bytes."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": stage.bootstrap_servers,
        "STREAMNOTIFY_TOPIC_PREFIX": prefix,
        "STREAMNOTIFY_DATA_DIR": str(data_dir),
        "STREAMNOTIFY_PUBLIC_URL": "http://127.0.0.1/",
        "STREAMNOTIFY_SECRET": "only for benchmarks",
        "STREAMNOTIFY_HTTP_BIND": f"127.0.0.1:{free_port()}",
    }
    asked_at, began = datetime.now(UTC), time.monotonic()
    web = stage.children.start("web", [sys.executable, "-m", "streamnotify", "web"], environment)
    model = ReadModel(file_in(data_dir))
    while not _is_built(freshness := model.freshness(), asked_at):
        web.require_alive()
        if not wait(WITHIN, began):
            raise BenchmarkFailed(f"the read model of {total:,} records was not built in {WITHIN:.0f} s")
        report.progress(f"{freshness.behind_records if freshness else total:,} records behind")
    seconds = time.monotonic() - began
    figures = seconds, web.cpu(), web.memory("VmHWM")
    web.stop()
    return figures


def _is_built(freshness: Freshness | None, asked_at: datetime) -> bool:
    return freshness is not None and freshness.caught_up_at is not None and freshness.caught_up_at >= asked_at


def _times(model: ReadModel, ask: Ask, count: int) -> list[float]:
    """Milliseconds that a query takes each time."""
    chance = random.Random(8)
    taken = []
    for _ in range(TIMES):
        number = chance.randrange(count)
        began = time.perf_counter()
        ask(model, number)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def _task(number: int) -> str:
    return f"pipelines.customer_sync_{number % TASKS:04d}.load"


def _organization(number: int) -> str:
    return f"org-{number % ORGANIZATIONS:03d}"


def _some_page(model: ReadModel, number: int) -> None:
    """One from the middle of the list."""
    until = datetime.now(UTC) - timedelta(seconds=number)
    model.notifications(organization=None, until=until)


QUERIES: dict[str, Ask] = {
    "a notification": lambda model, n: model.notification(name_of(n), organization=None),
    "its steps": lambda model, n: model.steps_of(name_of(n), organization=None),
    "the newest notifications": lambda model, n: model.notifications(organization=None, limit=200),
    "notifications of some time": _some_page,
    "of an organization": lambda model, n: model.notifications(organization=_organization(n), limit=200),
    "of a rare organization": lambda model, n: model.notifications(organization=RARE_ORGANIZATION, limit=200),
    "failed ones": lambda model, n: model.notifications(organization=None, status="failed", limit=200),
    "failed ones of an organization": lambda model, n: model.notifications(
        organization=_organization(n), status="failed", limit=200
    ),
    "failed ones of a rare organization": lambda model, n: model.notifications(
        organization=RARE_ORGANIZATION, status="failed"
    ),
    "sent ones of a rare organization": lambda model, n: model.notifications(
        organization=RARE_ORGANIZATION, status="sent", limit=200
    ),
    "bounced task mails, of which there are none": lambda model, n: model.notifications(
        organization=None, status="bounced", kind="task_completion"
    ),
    "sent service mails, of which there are none": lambda model, n: model.notifications(
        organization=None, status="sent", kind="service_health"
    ),
    "alerts of an organization": lambda model, n: model.notifications(
        organization=_organization(n), kind="task_status_alert", limit=200
    ),
    "alerts that failed": lambda model, n: model.notifications(
        organization=None, kind="task_status_alert", status="failed", limit=200
    ),
    "of a task": lambda model, n: model.notifications(organization=None, task_name=_task(n), limit=200),
    "of a run": lambda model, n: model.notifications(organization=None, task_id=f"run-{n:010d}"),
    "of an address": lambda model, n: model.notifications(
        organization=None, address=f"user-{n % PEOPLE:05d}@example.com"
    ),
    "a digest of 20,000": lambda model, n: model.digest_items(BIG_DIGEST, organization=None, limit=200),
    "a run": lambda model, n: model.run(f"run-{n // RUNS_SHARE:010d}", organization=None),
    "runs of a task": lambda model, n: model.runs(organization=None, task_name=_task(n), limit=200),
    "stopped runs of an organization": lambda model, n: model.runs(
        organization=_organization(n), status="Stopped", limit=200
    ),
    "checks that failed": lambda model, n: model.monitor_results(
        organization=None, verdict="status_mismatch", limit=200
    ),
    "checks of a monitor": lambda model, n: model.monitor_results(
        organization=None, monitor=f"Monitor {n % 100}", limit=200
    ),
    "how far behind it is": lambda model, n: model.freshness(),
}
