"""How long from an event to the relay's acceptance of its mail, open loop, and where the time goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from confluent_kafka import Message, Producer

from benchmarks.children import BenchmarkFailed, Child
from benchmarks.events import mailing
from benchmarks.product import Product
from benchmarks.rates import percentile
from benchmarks.report import Report
from benchmarks.stage import Stage
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.commands import DeliverMail, MergeRun, NotifyTask
from streamnotify.wire.topics import MAILBOXES, OUTBOX, TASKS, Topic

EVENTS = 15_000  # of the first load; the second lasts as long
WARM_UP = 15.0  # seconds of the same load before it counts: the broker compiles itself meanwhile
SHORTEST = 2.0  # seconds
ARRIVED_WITHIN = 30.0  # seconds after the last event
P50, P99 = 30.0, 100.0  # milliseconds: what must hold
DUE, PUBLISHED, ACCEPTED = "event due", "published", "SMTP accept"
STOPS = (DUE, PUBLISHED, "[tasks]", "[mailboxes]", "[outbox]", ACCEPTED)  # of an event's way


@dataclass(frozen=True, slots=True)
class Load:
    """So many events a second, of which every ``mail_every``-th asks for a mail."""

    name: str
    per_second: int
    mail_every: int


LOADS = (Load("mixed", 500, 10), Load("mailing", 100, 1))


Times = dict[str, float]  # when an event was at each of the STOPS, in seconds since the epoch


@dataclass(frozen=True, slots=True)
class Sent:
    """The events of a load, per task_id, and how much CPU the worker took for them (1.0: one core)."""

    times: dict[str, Times]
    cores: float


def run(stage: Stage, count: int, report: Report) -> None:
    """Measure both loads and report.

    Raises:
        BenchmarkFailed: if a mail did not arrive.
    """
    seconds = max(count / LOADS[0].per_second, SHORTEST)
    port = free_port()
    accepted = stage.directory / "accepted"
    argv = [sys.executable, "-m", "benchmarks.smtp_sink", str(port), "{count}", "{alive}", str(accepted)]
    sink = stage.children.start("sink", argv)
    product = Product(stage, "latency", smtp_port=port)
    report.say(f"latency: worker ready after {product.start_and_wait():.1f} s")
    sent = {load.name: _put(stage, product, sink, load, seconds, report) for load in LOADS}
    report.say("latency: reading the internal topics")
    times = {task_id: each for of_load in sent.values() for task_id, each in of_load.times.items()}
    _read_stops(stage, product, times)
    _read_accepted(accepted, times)
    product.worker.stop()
    sink.stop()
    for load in LOADS:
        _tell(load, sent[load.name], seconds, report)


def _put(stage: Stage, product: Product, sink: Child, load: Load, seconds: float, report: Report) -> Sent:
    """Publish each event when it is due, however the ones before fare; returns those after the warm-up."""
    report.say(f"latency: {load.per_second} events/s, {load.per_second // load.mail_every} mails/s, {seconds:.0f} s")
    producer = Producer({"bootstrap.servers": stage.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 0})
    began, before, cpu = time.time() + 0.1, sink.count(), 0.0
    times: dict[str, Times] = {}
    warm_up, total = round(WARM_UP * load.per_second), round((WARM_UP + seconds) * load.per_second)
    for number in range(total):
        due_at = began + number / load.per_second
        time.sleep(max(due_at - time.time(), 0))
        task_id = f"{load.name}-{number:07d}"
        email = f"{task_id}@example.com" if number % load.mail_every == 0 else None
        producer.produce(product.events_topic, mailing(task_id, email, number), key=task_id)
        producer.poll(0)
        if number == warm_up:
            cpu = product.worker.cpu()
        if number >= warm_up:
            times[task_id] = {DUE: due_at, PUBLISHED: time.time()}
        if number % load.per_second == 0:
            product.worker.require_alive()
            report.progress(f"{number:,} of {total:,}")
    cores = (product.worker.cpu() - cpu) / seconds
    producer.flush(ARRIVED_WITHIN)
    mails = len(range(0, total, load.mail_every))
    _wait_for(lambda: sink.count() - before >= mails, product, f"{mails} mails")
    return Sent(times, cores)


def _wait_for(arrived: Callable[[], bool], product: Product, what: str) -> None:
    deadline = time.monotonic() + ARRIVED_WITHIN
    while not arrived():
        product.worker.require_alive()
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"{what} did not arrive in time:\n{product.worker.log_tail()}")
        time.sleep(0.1)


def _read_stops(stage: Stage, product: Product, times: Mapping[str, Times]) -> None:
    """Note when each event's commands were appended to the internal topics: the broker's time, in milliseconds."""
    for stop, topic in (("[tasks]", TASKS), ("[mailboxes]", MAILBOXES), ("[outbox]", OUTBOX)):
        with TopicReader(stage.bootstrap_servers, [product.internal_topic(topic.name)]) as reader:
            for message in reader.to_the_end():
                task_id = _task_id(topic, message)
                if task_id is not None and task_id in times:
                    times[task_id].setdefault(stop, message.timestamp()[1] / 1000)


def _task_id(topic: Topic, message: Message) -> str | None:
    """Which run a command is about; None for ticks and results."""
    value = message.value()
    command = topic.decode(value) if value and topic.decode is not None else None
    if isinstance(command, MergeRun):
        return command.update.task_id
    if isinstance(command, NotifyTask):
        return command.notification.task_id
    return command.mail.task_id if isinstance(command, DeliverMail) else None


def _read_accepted(accepted: Path, times: Mapping[str, Times]) -> None:
    for line in accepted.read_text().splitlines():
        at, _, recipient = line.partition(" ")
        if (each := times.get(recipient.partition("@")[0])) is not None:
            each.setdefault(ACCEPTED, float(at))


def _tell(load: Load, sent: Sent, seconds: float, report: Report) -> None:
    rows = []
    for start, end in (*pairwise(STOPS), (DUE, ACCEPTED)):
        hop = _between(sent, start, end)
        shown = [f"{percentile(hop, share):.1f}" for share in (0.5, 0.9, 0.99, 1)]
        rows.append((f"{start} → {end}", f"{len(hop):,}", *shown))
    mails = load.per_second // load.mail_every
    title = f"Latency in ms: {load.per_second} events/s, {mails} of them mailing, {seconds:.0f} s, open loop"
    report.table(title, ("", "measured", "p50", "p90", "p99", "max"), rows)
    report.note(f"The worker took {sent.cores:.2f} cores; times of internal topics are whole milliseconds.")
    whole = _between(sent, DUE, ACCEPTED)
    report.verdict("p50", percentile(whole, 0.5), P50, " ms", at_most=True)
    report.verdict("p99", percentile(whole, 0.99), P99, " ms", at_most=True)


def _between(sent: Sent, start: str, end: str) -> list[float]:
    """Milliseconds from one stop to another, of the events that came by both."""
    return [(each[end] - each[start]) * 1000 for each in sent.times.values() if start in each and end in each]
