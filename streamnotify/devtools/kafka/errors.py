"""What can go wrong with the embedded broker, in words for the person at the terminal."""

from __future__ import annotations

from streamnotify.errors import StreamnotifyError


class EmbeddedKafkaError(StreamnotifyError):
    """The embedded broker, or one of Kafka's own tools, cannot be had or does not run."""


class AlreadyRunning(EmbeddedKafkaError):
    """Another broker is running on the data directory."""


class StartFailed(EmbeddedKafkaError):
    """One try to start the broker failed; another one may succeed."""
