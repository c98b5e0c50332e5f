"""How many events per second: others and we, on the same events and the same broker, one after another."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import counting_engine
from benchmarks.children import BenchmarkFailed, Child, wait
from benchmarks.events import SIZE, events
from benchmarks.product import Product, WorkerMetrics
from benchmarks.rates import Rate, Sample, rate
from benchmarks.report import Report
from benchmarks.stage import PARTITIONS, Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.wire.topic_layout import INTERNAL_BYTES

EVENTS = 600_000
WITHIN = 120.0  # seconds for each; then it counts what was done by then
OVER_FAUST, OVER_QUIX, FLOOR, AIM = 40, 2.5, 20_000, 60_000
COUNTED = "counted"  # the topic, keyed by task name, so that nobody has to repartition
FAUST_SHARE, QUIX_SHARE = 15, 1  # the slow ones get a part of the events; Quix enough for two of its checkpoints
_FAUST_AT_LEAST = 3_000


@dataclass(frozen=True, slots=True)
class Measured:
    """One line of the table; ``rate`` is None if it could not be measured."""

    name: str
    rate: Rate | None
    note: str = ""


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if one of ours, or raw aiokafka, cannot be measured.
    """
    stage.create_topics({COUNTED: {}, counting_engine.changelog(): _CHANGELOG})
    stage.publish(COUNTED, ((event.task_name, event.value) for event in events(count)))
    lines = {
        "raw": Measured("raw aiokafka + orjson, no state", _raw(stage, count, report)),
        "faust": Measured("plain Faust agent + RocksDB table", _faust(stage, count, report), "fewer events"),
        "quix": _quix(stage, count, report),
        "ours": Measured("our engine, one counting station", _ours(stage, count, report)),
        "runs": Measured("our product, 4 adjacent events a run", _product(stage, "adjacent", count, 4, report)),
        "distinct": Measured("our product, every event its own run", _product(stage, "distinct", count, 1, report)),
    }
    _tell(lines, report)


_CHANGELOG = {"cleanup.policy": "compact", "max.message.bytes": str(INTERNAL_BYTES)}


def _raw(stage: Stage, count: int, report: Report) -> Rate:
    argv = [sys.executable, "-m", "benchmarks.raw_client", stage.bootstrap_servers, COUNTED, "{count}", "{alive}"]
    return _measure_child(stage.children.start("raw", argv), count, report)


def _faust(stage: Stage, count: int, report: Report) -> Rate:
    argv = [sys.executable, "-m", "benchmarks.plain_faust", stage.bootstrap_servers, COUNTED, "{count}", "{alive}"]
    child = stage.children.start("faust", [*argv, str(stage.directory / "faust-state"), str(PARTITIONS)])
    return _measure_child(child, min(count, max(count // FAUST_SHARE, _FAUST_AT_LEAST)), report)


def _quix(stage: Stage, count: int, report: Report) -> Measured:
    name = "Quix Streams, stateful count"
    if not stage.quix_python.exists():
        return Measured(name, None, "not installed: `make bench` does it")
    script = Path(__file__).with_name("quix_count.py")
    argv = [str(stage.quix_python), "-P", str(script), stage.bootstrap_servers, COUNTED, "{count}", "{alive}"]
    child = stage.children.start("quix", [*argv, str(stage.directory / "quix-state")])
    return Measured(name, _measure_child(child, max(count // QUIX_SHARE, 1), report))


def _ours(stage: Stage, count: int, report: Report) -> Rate:
    metrics = WorkerMetrics(free_port())
    argv = [sys.executable, "-m", "benchmarks.counting_engine", stage.bootstrap_servers, COUNTED, "{alive}"]
    child = stage.children.start("ours", [*argv, str(stage.directory / "ours"), str(PARTITIONS), str(metrics.port)])
    return _measure(child, lambda: metrics.records(counting_engine.STATION), count, report)


def _product(stage: Stage, name: str, count: int, per_run: int, report: Report) -> Rate:
    """The whole path: counted from ingest's first tenth to the moment when tasks has applied the last update.

    What ingest had taken in but tasks had not yet applied at the start is not counted, though it is work done.
    """
    product = Product(stage, name)
    published = ((event.task_id, event.value) for event in events(count, per_run=per_run))
    stage.publish(product.events_topic, published)

    product.start()
    return _measure(product.worker, lambda: product.applied(count), count, report)


def _measure_child(child: Child, count: int, report: Report) -> Rate:
    return _measure(child, child.count, count, report)


def _measure(child: Child, applied: Callable[[], int], count: int, report: Report) -> Rate:
    """Follow a process's count until all is done or time runs out, then stop it."""
    report.say(f"{child.name}: {count:,} events")
    samples: list[Sample] = []
    began = time.monotonic()
    while not samples or samples[-1].records < count:
        child.require_alive()
        done = applied()
        samples.append(Sample(time.monotonic(), done, child.cpu()))
        report.progress(f"{done:,} of {count:,}")
        if not wait(WITHIN, began):
            break
    child.stop()
    try:
        measured = rate(samples, count)
    except ValueError as error:
        raise BenchmarkFailed(f"{child.name}: {error}\n{child.log_tail()}") from error
    report.say(f"{child.name}: {measured.per_second:,.0f} events/s")
    return measured


def _tell(lines: Mapping[str, Measured], report: Report) -> None:
    ours = lines["ours"].rate
    rows = [_row(line, ours) for line in lines.values()]
    columns = ("", "events", "seconds", "events/s", "our engine is", "CPU µs/event", "")
    report.table(f"Throughput: {SIZE}-byte JSON events, {PARTITIONS} partitions, one process each", columns, rows)
    for name, factor in (("faust", OVER_FAUST), ("quix", OVER_QUIX)):
        other = lines[name].rate
        if ours is not None and other is not None:
            report.verdict(f"our engine over {lines[name].name}", ours.per_second / other.per_second, factor, " times")
    for name in ("runs", "distinct"):
        whole = lines[name].rate
        if whole is not None:
            report.verdict(f"{lines[name].name}, floor", whole.per_second, FLOOR, "/s")
            report.verdict(f"{lines[name].name}, aim", whole.per_second, AIM, "/s")


def _row(line: Measured, ours: Rate | None) -> tuple[str, ...]:
    if line.rate is None:
        return (line.name, "", "", "", "", "", line.note)
    ratio = ours.per_second / line.rate.per_second if ours is not None else 0.0
    note = line.note if line.rate.complete else "; ".join(filter(None, [line.note, "time ran out"]))
    figures = (
        f"{line.rate.events:,}",
        f"{line.rate.seconds:.2f}",
        f"{line.rate.per_second:,.0f}",
        f"{ratio:.2f} times",
        f"{line.rate.cpu_per_event:.1f}",
    )
    return (line.name, *figures, note)
