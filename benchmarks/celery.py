"""What the Celery integration costs: its signal handlers, the wall time of many tasks, memory, threads, connections."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.children import BenchmarkFailed, cpu_of, wait
from benchmarks.rates import percentile
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.wire.topic_layout import layouts

EVENTS = 10_000  # tasks
HANDLER_MS, SLOWER_PERCENT = 1.0, 2.0  # issue 7, must-hold 2: p99 of each handler; wall time of 10,000 tasks
TASKS_S = (0.025, 0.01)  # how long the tasks of that take; empty ones are shown beside them
HANDLED_S = 0.01  # the same of those whose handlers are timed
CONCURRENCY = 4
ROUNDS = 3  # of each, by turns, since a machine's speed changes
WITHIN = 900.0  # seconds for one round
NOWHERE = "127.0.0.1:1"
WITHOUT, UP, DOWN = "without", "Kafka up", "Kafka down"


@dataclass(frozen=True, slots=True)
class Round:
    """One worker that did all tasks.

    Args:
        seconds: from sending the first to the result of the last.
        sending: from sending the first to sending the last.
        cpu: of sender and worker together, in seconds.
        memory, threads, sockets: of a child of the worker: bytes it shares with nobody, and numbers.
    """

    seconds: float
    sending: float
    cpu: float
    memory: int
    threads: int
    sockets: int


class Took(NamedTuple):
    """What one call took, in nanoseconds: by the clock, and of CPU, which a busy machine changes little."""

    wall: int
    cpu: int


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if the tasks do not end.
    """
    server = shutil.which("redis-server")
    if server is None:
        report.say("without redis-server nothing can be measured here")
        return
    port = free_port()
    redis = stage.children.start(
        "redis", [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--databases", "64"]
    )
    stage.apply(tuple(each for each in layouts("celery.", "bench", 4, 1) if each.name == "celery.task-events"))
    bench = _Bench(stage, f"redis://127.0.0.1:{port}", report)
    _handlers(bench, count, report)
    by_task = {task_s: _rounds(bench, count, task_s) for task_s in (*TASKS_S, 0.0)}
    redis.stop()
    _tell(by_task, count, report)


class _Bench:
    def __init__(self, stage: Stage, redis: str, report: Report) -> None:
        self._stage, self._redis, self._report = stage, redis, report
        self._number = 0

    def directory_for(self, how: str) -> Path:
        """A new one."""
        made = self._stage.directory / f"celery-times-{how}"
        made.mkdir()
        return made

    def round(self, count: int, task_s: float, how: str, times: Path | None = None) -> Round:
        """Have a new worker do ``count`` tasks."""
        self._number += 1
        self._report.say(f"{count:,} tasks of {task_s * 1000:.0f} ms, {how}")
        environment = {
            "BENCH_REDIS": f"{self._redis}/{self._number}",
            "BENCH_INSTALLED": "0" if how == WITHOUT else "1",
            "BENCH_TASK_S": str(task_s),
            "BENCH_TIMES": str(times or ""),
            "KAFKA_BOOTSTRAP_SERVERS": NOWHERE if how == DOWN else self._stage.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": "celery.",
        }
        python = [sys.executable, "-m"]
        worker_argv = ["celery", "-A", "benchmarks.celery_app", "worker", "-c", str(CONCURRENCY), "-l", "WARNING"]
        worker = self._stage.children.start(f"celery-worker-{self._number}", [*python, *worker_argv], environment)
        sender_argv = [*python, "benchmarks.celery_app", str(count), "{count}"]
        sender = self._stage.children.start(f"celery-sender-{self._number}", sender_argv, environment)
        began, base = time.monotonic(), 0.0
        while sender.process.poll() is None:
            worker.require_alive()
            if not base and sender.count():
                base = _cpu_of_all(worker.pid)
            if not wait(WITHIN, began):
                raise BenchmarkFailed("the tasks did not end")
        cpu = _cpu_of_all(worker.pid) - base
        if sender.process.returncode:
            raise BenchmarkFailed(f"the sender failed:\n{sender.log_tail()}")
        took = json.loads(next(line for line in sender.log.read_text().splitlines() if line.startswith("{")))
        children = _children_of(worker.pid)
        memory, threads, sockets = _size_of(children[0]) if children else (0, 0, 0)
        worker.stop()
        return Round(took["all"], took["sending"], took["cpu"] + cpu, memory, threads, sockets)


def _handlers(bench: _Bench, count: int, report: Report) -> None:
    """How long each receiver takes, in the processes where it runs."""
    took: dict[str, dict[str, list[Took]]] = {}
    for how in (UP, DOWN):
        times = bench.directory_for(how)
        bench.round(count, HANDLED_S, how, times)
        took[how] = _read(times)
    rows = [
        (name, f"{len(calls):,}", *(cell for how in took for cell in _micros(took[how].get(name, []))))
        for name, calls in took[UP].items()
    ]
    each = ("p99 us", "CPU p50", "CPU p99")
    columns = ("signal", "calls", *(f"{cell}, {how}" for how in ("up", "down") for cell in each))
    report.table(f"Signal handlers, {count:,} tasks of {HANDLED_S * 1000:.0f} ms", columns, rows)
    for how, by_signal in took.items():
        worst = max(percentile([call.wall for call in calls], 0.99) for calls in by_signal.values()) / 1e6
        report.verdict(f"p99 of the slowest handler, {how}", worst, HANDLER_MS, " ms", at_most=True)


def _micros(calls: list[Took]) -> tuple[str, str, str]:
    walls, cpus = [call.wall for call in calls], [call.cpu for call in calls]
    figures = (percentile(walls, 0.99), percentile(cpus, 0.5), percentile(cpus, 0.99))
    wall, cpu, cpu_99 = (f"{figure / 1000:,.0f}" for figure in figures)
    return wall, cpu, cpu_99


def _read(directory: Path) -> dict[str, list[Took]]:
    merged: defaultdict[str, list[Took]] = defaultdict(list)
    for path in directory.glob("*.json"):
        for name, calls in json.loads(path.read_text()).items():
            merged[name].extend(Took(*call) for call in calls)
    return dict(merged)


def _rounds(bench: _Bench, count: int, task_s: float) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {WITHOUT: [], UP: [], DOWN: []}
    for _ in range(ROUNDS):
        for how, rounds in found.items():
            rounds.append(bench.round(count, task_s, how))
    return found


def _tell(by_task: dict[float, dict[str, list[Round]]], count: int, report: Report) -> None:
    for task_s, found in by_task.items():
        report.table(
            f"{count:,} tasks of {task_s * 1000:.0f} ms, {CONCURRENCY} processes, median of {ROUNDS}",
            ("", "wall s", "sending s", "CPU us/task", "MB/child", "threads/child", "sockets/child"),
            [
                (
                    how,
                    f"{_median(rounds, 'seconds'):.2f}",
                    f"{_median(rounds, 'sending'):.2f}",
                    f"{_median(rounds, 'cpu') / count * 1e6:,.0f}",
                    f"{_median(rounds, 'memory') / 1e6:.1f}",
                    f"{_median(rounds, 'threads'):.0f}",
                    f"{_median(rounds, 'sockets'):.0f}",
                )
                for how, rounds in found.items()
            ],
        )
        base = _median(found[WITHOUT], "seconds")
        for how in (UP, DOWN):
            slower = (_median(found[how], "seconds") / base - 1) * 100
            if task_s:
                report.verdict(
                    f"wall time more than without, {how}, tasks of {task_s * 1000:.0f} ms",
                    slower,
                    SLOWER_PERCENT,
                    " %",
                    at_most=True,
                )
            else:
                report.note(f"{slower:+.1f} % wall time where tasks do nothing at all, {how}")


def _median(rounds: list[Round], field: str) -> float:
    return float(statistics.median(getattr(each, field) for each in rounds))


def _children_of(pid: int) -> list[int]:
    """Of a process; none where the system does not tell."""
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _cpu_of_all(pid: int) -> float:
    """Of a worker and its children, in seconds."""
    return sum(cpu_of(each) for each in (pid, *_children_of(pid)))


def _size_of(pid: int) -> tuple[int, int, int]:
    """Bytes that a process shares with nobody, its threads and its sockets."""
    memory = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Private_Dirty:")
    )
    threads = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    sockets = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets += str(each.readlink()).startswith("socket:")
    return memory, threads, sockets
