"""Puts task events on ``task-events``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamnotify.stream.config import EngineConfig
from streamnotify.web.written_records import put
from streamnotify.wire.topics import TASK_EVENTS


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
        put(self.config, TASK_EVENTS, records)
