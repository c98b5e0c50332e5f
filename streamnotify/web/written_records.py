"""What this process writes: records on topics, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from streamnotify.stream.config import EngineConfig
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topics import Topic

# With Kafka, which is asked for the topic first: people who click wait for about ten seconds, and SNS for 15.
PATIENCE = timedelta(seconds=5)


def put(config: EngineConfig, topic: Topic, records: Iterable[tuple[str | None, bytes]]) -> None:
    """Put records (key, value) on a topic, and wait until all are safe there. It blocks.

    Args:
        config: names the topic, and says how the cluster is reached.
        topic: where to.
        records: in the order they are to lie in, within each partition.

    Raises:
        EngineFailure: if one may not be; others may.
        TopicsError: if there is no such topic.
    """
    publish(config.bootstrap_servers, config.topic_name(topic), records, config.security, timeout=PATIENCE)
