"""``streamnotify web`` is killed at any time: restarted, it knows again exactly what lies on the topics."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from benchmarks.notification_records import records
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader, header_pairs
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.schema import file_in
from streamnotify.web.read_model.tables import TABLES
from streamnotify.wire.topic_layout import layouts
from tests.web.browsing import SECRET
from tests.web.read_model.a_file import rows, write
from tests.web.web_process import WebProcess

NOTIFICATIONS = 4_000
KILLS = 5


class Deployment:
    """Topics, a data directory, and one web process after another."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str, directory: Path) -> None:
        TopicAdmin(kafka.bootstrap_servers).apply(layouts(prefix, "streamnotify", 4, 1))
        self.kafka = kafka
        self.prefix = prefix
        self.directory = directory
        self.file = file_in(directory / "data")

    def start(self) -> WebProcess:
        """A web process."""
        return WebProcess(
            self.directory,
            KAFKA_BOOTSTRAP_SERVERS=self.kafka.bootstrap_servers,
            STREAMNOTIFY_TOPIC_PREFIX=self.prefix,
            STREAMNOTIFY_DATA_DIR=str(self.directory / "data"),
            STREAMNOTIFY_PUBLIC_URL="http://127.0.0.1/",
            STREAMNOTIFY_SECRET=SECRET,
            STREAMNOTIFY_HTTP_BIND="127.0.0.1:0",
        )

    def publish(self, count: int) -> None:
        """Notifications, and a run for each."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "linger.ms": 5})
        for key, value in records(count):
            producer.produce(f"{self.prefix}notification-status", value, key=key)
        for number in range(count):
            event = {"task_name": f"t{number % 9}", "task_id": f"r{number % 999}", "status": "Running", "attempt": 1}
            producer.produce(f"{self.prefix}task-events", json.dumps(event), key=str(number))
            producer.poll(0)
        assert producer.flush(60) == 0

    def on_the_topics(self) -> Iterator[RawRecord]:
        """Everything."""
        names = {f"{self.prefix}{topic}": topic for topic in TABLES}
        with TopicReader(self.kafka.bootstrap_servers, [*names]) as reader:
            for each in reader.to_the_end():
                headers = [(name, content or b"") for name, content in header_pairs(each)]
                place = names[each.topic() or ""], each.partition() or 0, each.offset() or 0, each.timestamp()[1]
                yield RawRecord(*place, each.key(), each.value(), headers)

    def what_lies_there(self) -> dict[str, list[Any]]:
        """The rows that everything on the topics makes."""
        path = write(self.directory / "from-the-topics.sqlite3", self.on_the_topics(), now=datetime.now(UTC))
        found = rows(path)
        path.unlink()
        return found


def until_caught_up(web: WebProcess, since: datetime) -> None:
    """Wait until all that was there at ``since`` is in."""
    deadline = time.monotonic() + 90
    while True:
        said = httpx.get(f"{web.origin()}/readyz").json()["read_model"]
        if said and said["caught_up_at"] and datetime.fromisoformat(said["caught_up_at"]) >= since:
            assert said["behind_records"] == 0
            return
        assert time.monotonic() < deadline, web.log
        time.sleep(0.1)


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Deployment:
    return Deployment(kafka, f"{unique}.", tmp_path)


def test_killed_again_and_again_it_knows_in_the_end_what_lies_on_the_topics(deployment: Deployment) -> None:
    chance = random.Random(8)
    for _ in range(KILLS):
        web = deployment.start()
        web.origin()
        deployment.publish(NOTIFICATIONS // KILLS)
        time.sleep(chance.uniform(0, 0.6))  # it dies at any time: this one is drawn
        web.end(signal.SIGKILL)
    published_at = datetime.now(UTC)
    web = deployment.start()
    try:
        until_caught_up(web, published_at)
        assert rows(deployment.file) == deployment.what_lies_there()
    finally:
        assert web.end() == 0
    deployment.file.unlink()  # it is only a copy
    for other in deployment.file.parent.glob("*-wal"):
        other.unlink()
    web = deployment.start()
    try:
        until_caught_up(web, published_at)
        assert rows(deployment.file) == deployment.what_lies_there()
    finally:
        with suppress(AssertionError):
            web.end(signal.SIGKILL)
