"""Puts what providers report on ``notification-feedback``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamnotify.stream.config import EngineConfig
from streamnotify.web.written_records import put
from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.topics import NOTIFICATION_FEEDBACK


class FeedbackTopic(Protocol):
    """Takes delivery events."""

    def put(self, events: Sequence[NotificationFeedback]) -> None:
        """Put events on the topic, and wait until all are safe there. It blocks.

        Raises:
            EngineFailure: if one may not be; others may.
            TopicsError: if there is no such topic.
        """


@dataclass(frozen=True, slots=True)
class KafkaFeedbackTopic:
    """The topic on Kafka. ``config`` says its prefix, and how the cluster is reached."""

    config: EngineConfig

    def put(self, events: Sequence[NotificationFeedback]) -> None:
        """See FeedbackTopic."""
        put(self.config, NOTIFICATION_FEEDBACK, [(event.key, NOTIFICATION_FEEDBACK.encode(event)) for event in events])
