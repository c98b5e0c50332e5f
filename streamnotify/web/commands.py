"""What the pages cause: commands to the stations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from streamnotify.stream.config import EngineConfig
from streamnotify.web.written_records import put
from streamnotify.wire.topics import Topic


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
        put(self.config, topic, [(key, topic.encode(command))])
