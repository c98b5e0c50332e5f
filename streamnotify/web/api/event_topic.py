"""Puts task events on ``task-events``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from streamnotify.stream.config import EngineConfig
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topics import TASK_EVENTS

PATIENCE = timedelta(seconds=5)  # with Kafka


class EventTopic(Protocol):
    """Takes task events."""

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Put records (task_id, event as JSON) on the topic, and wait until all are safe there. It blocks.

        Raises:
            EngineFailure: if one may not be; others may.
            TopicsError: if there is no such topic.
        """


@dataclass(frozen=True, slots=True)
class KafkaEventTopic:
    """The topic on Kafka. ``config`` says its prefix, and how the cluster is reached."""

    config: EngineConfig

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See EventTopic."""
        config = self.config
        topic = config.topic_name(TASK_EVENTS)
        publish(config.bootstrap_servers, topic, records, config.security, timeout=PATIENCE)
