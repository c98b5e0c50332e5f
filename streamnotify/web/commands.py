"""What the pages cause: commands to the stations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from streamnotify.stream.config import EngineConfig
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topics import Topic

PATIENCE = timedelta(seconds=5)  # with Kafka: those who click for people wait for about ten


class Commands(Protocol):
    """Takes commands for the stations."""

    def send(self, topic: Topic, key: str, command: Any) -> None:
        """Put a command on an internal topic, and wait until it is safe there. It blocks.

        Raises:
            EngineFailure: if it may not be.
            TopicsError: if there is no such topic.
        """


@dataclass(frozen=True, slots=True)
class KafkaCommands:
    """Commands on Kafka. ``config`` names the topics, and says how the cluster is reached."""

    config: EngineConfig

    def send(self, topic: Topic, key: str, command: Any) -> None:
        """See Commands."""
        records = [(key, topic.encode(command))]
        config = self.config
        publish(config.bootstrap_servers, config.topic_name(topic), records, config.security, timeout=PATIENCE)
