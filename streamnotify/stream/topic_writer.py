"""Publishes a few records and waits until they are safe: for commands that put something on a topic."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from confluent_kafka import KafkaException, Producer

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.security import KafkaSecurity

logger = logging.getLogger(__name__)


def publish(
    bootstrap_servers: str,
    topic: str,
    records: Iterable[tuple[str | None, bytes | None]],
    security: KafkaSecurity | None = None,
    *,
    timeout: timedelta = timedelta(seconds=10),
) -> None:
    """Publish records (key, value) and wait for the cluster's word on each.

    A key's records go where Kafka's own producers and the engine put them.

    Args:
        bootstrap_servers: ``host:port,...``.
        topic: its name on the broker.
        records: in the order they are to lie in, within each partition; value None removes the key.
        security: how we prove ourselves.
        timeout: how long the cluster may take for all of them.

    Raises:
        EngineFailure: if one was not taken; earlier ones may have been.
        TopicsError: if the topic does not exist.
    """
    refused: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "delivery.timeout.ms": timeout // timedelta(milliseconds=1),
            "message.max.bytes": 3 * 1024 * 1024,
            "allow.auto.create.topics": False,
            **(security or KafkaSecurity()).for_librdkafka(),
        },
        logger=logger,
    )
    try:
        found = producer.list_topics(topic, timeout=timeout.total_seconds()).topics[topic]
        if found.error is not None:
            raise TopicsError(f"Topic {topic}: {found.error.str()}. Run: streamnotify topics apply")
        for key, value in records:
            producer.produce(
                topic, value, key=key, on_delivery=lambda error, _: refused.append(error.str()) if error else None
            )
        left = producer.flush(timeout.total_seconds() + 1)
    except (KafkaException, BufferError) as error:
        raise EngineFailure(f"Kafka at {bootstrap_servers} did not take a record for {topic}: {error}") from error
    if refused or left:
        why = refused[0] if refused else "no answer"
        raise EngineFailure(f"Kafka at {bootstrap_servers} did not take a record for {topic}: {why}")
