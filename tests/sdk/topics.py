"""Topics of task events on a broker, and what lies on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.sdk import Publisher, PublisherConfig
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire import task_event

ROOT = Path(__file__).parents[2]
NOWHERE = "127.0.0.1:1"  # nothing listens on it
DEADLINE_S = 60
PARTITIONS = 2

Event = dict[str, Any]


def create(bootstrap_servers: str, topic: str, **settings: str) -> str:
    """Create a topic; returns its name."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # it must outlive what it has promised
    admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=settings)])[topic].result()
    return topic


def records(bootstrap_servers: str, topic: str) -> list[Message]:
    """Every record on a topic, each one that ingest takes."""
    with TopicReader(bootstrap_servers, [topic]) as reader:
        found = list(reader.to_the_end())
    for record in found:
        task_event.parse(record.value())
    return found


def events(bootstrap_servers: str, topic: str) -> list[Event]:
    """Every event on a topic."""
    return [json.loads(record.value() or b"") for record in records(bootstrap_servers, topic)]


def count(bootstrap_servers: str, topic: str) -> int:
    """How many records there are on a topic."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "look"})
    try:
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=15) for number in range(PARTITIONS)
        ]
        return sum(end for _, end in ends)
    finally:
        consumer.close()


def publisher(bootstrap_servers: str, topic: str, **settings: Any) -> Publisher:
    """A publisher of this process to a topic."""
    return Publisher(PublisherConfig(bootstrap_servers=bootstrap_servers, topic=topic, **settings))


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def python(script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A process of its own that runs a script after ``from streamnotify.sdk import *``."""
    code = f"import os, sys, time\nfrom pathlib import Path\nfrom streamnotify.sdk import *\n{script}"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def output(script: str, *arguments: str, **environment: str) -> tuple[str, str]:
    """What such a process says on its standard output and error; it must end well."""
    process = python(script, *arguments, **environment)
    try:
        said, complained = process.communicate(timeout=DEADLINE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it forked, too
    assert process.returncode == 0, complained
    return said, complained
