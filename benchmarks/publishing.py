"""What publishing costs an application: time, memory, threads and connections, with Kafka there and away."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from itertools import islice
from typing import Any

from benchmarks.children import ROOT, BenchmarkFailed
from benchmarks.publishing_process import RATE
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.stream.topic_reader import TopicReader

EVENTS = 30_000
TOPIC = "task-events"
NOWHERE = "127.0.0.1:1"
P99_MS = 1.0  # at most (research/celery-sdk.md K2)
_LOOKED_AT = 1000  # events


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure and report.

    Raises:
        BenchmarkFailed: if a measuring process does.
    """
    stage.create_topics({TOPIC: {}})
    found = {}
    for name, servers in {"Kafka there": stage.bootstrap_servers, "Kafka away": NOWHERE}.items():
        report.say(f"{name}: {count:,} events at {RATE:,} a second")
        found[name] = _measured(servers, count)
    rows = [[figure, *(str(each[figure]) for each in found.values())] for figure in found["Kafka there"]]
    with TopicReader(stage.bootstrap_servers, [TOPIC]) as reader:
        sizes = [len(record.value() or b"") for record in islice(reader.to_the_end(), _LOOKED_AT)]
    report.table("Publishing from Python", ["", *found], rows)
    report.note(f"{statistics.mean(sizes):.0f} bytes an event")
    for name, figures in found.items():
        report.verdict(f"publish, {name}: p99", figures["publish p99, µs"] / 1000, P99_MS, " ms", at_most=True)


def _measured(servers: str, count: int) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.publishing_process", servers, str(count)]
    answer = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise BenchmarkFailed(f"the publishing process failed:\n{answer.stderr}")
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures
