"""Topics of one's own on the shared broker, and the command told where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import Result
from confluent_kafka import Producer

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topic_layout import layouts
from tests.cli.running import streamnotify

PARTITIONS = 4


class Deployment:
    """A deployment without workers: a test publishes what they would."""

    def __init__(self, kafka: EmbeddedKafka, name: str, directory: Path) -> None:
        self.servers = kafka.bootstrap_servers
        self.prefix = f"{name}."
        self._directory = directory
        TopicAdmin(self.servers).apply(layouts(self.prefix, "streamnotify", PARTITIONS, 1))

    def __call__(self, *arguments: str) -> Result:
        """The result of a command."""
        given = {"KAFKA_BOOTSTRAP_SERVERS": self.servers, "STREAMNOTIFY_TOPIC_PREFIX": self.prefix}
        return streamnotify(*arguments, directory=self._directory, **given)

    def publish(self, topic: str, *records: tuple[str | None, dict[str, Any] | bytes]) -> None:
        """Put records (key, content) on a topic."""
        encoded = [(key, data if isinstance(data, bytes) else json.dumps(data).encode()) for key, data in records]
        publish(self.servers, f"{self.prefix}{topic}", encoded)

    def steps(self, *steps: dict[str, Any]) -> None:
        """Put steps of notifications on notification-status."""
        self.publish("notification-status", *((step["notification_id"], step) for step in steps))

    def dead_letter(self, value: bytes, headers: dict[str, str]) -> None:
        """Put a record on dead-letters."""
        producer = Producer({"bootstrap.servers": self.servers})
        producer.produce(
            f"{self.prefix}dead-letters", value, headers={name: text.encode() for name, text in headers.items()}
        )
        assert producer.flush(30) == 0
