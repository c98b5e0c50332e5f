"""Apache Kafka itself on this machine, without Docker: one KRaft node from Maven artifacts (DESIGN section 7)."""

from __future__ import annotations

from streamnotify.devtools.kafka.broker import EmbeddedKafka
from streamnotify.devtools.kafka.errors import EmbeddedKafkaError

__all__ = ["EmbeddedKafka", "EmbeddedKafkaError"]
