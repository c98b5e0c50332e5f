"""Whether a broker answers: an open port is not enough (DESIGN section 7)."""

from __future__ import annotations

import logging
import socket

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streamnotify.wire.kafka_security import KafkaSecurity

ANSWER_TIMEOUT_S = 5.0

# While a broker starts, librdkafka reports every refused connection; that is what is being waited for.
_log = logging.getLogger(f"{__name__}.librdkafka")
_log.addHandler(logging.NullHandler())
_log.propagate = False


def is_ready(bootstrap_servers: str, cluster_id: str | None = None) -> bool:
    """Whether cluster metadata and a group coordinator answer.

    Args:
        bootstrap_servers: one ``host:port``.
        cluster_id: the cluster that is expected to answer; another one on the same port does not count.
    """
    if not _listens(bootstrap_servers):
        return False
    client = _admin(bootstrap_servers, KafkaSecurity())
    try:
        metadata = client.list_topics(timeout=ANSWER_TIMEOUT_S)
        if not metadata.brokers or (cluster_id is not None and metadata.cluster_id != cluster_id):
            return False
        # Asking for a group finds its coordinator, and that one creates the offsets topic if need be.
        group = client.describe_consumer_groups(["streamnotify-readiness"], request_timeout=ANSWER_TIMEOUT_S)
        group["streamnotify-readiness"].result()
    except KafkaException:
        return False
    return True


def topic_names(bootstrap_servers: str, security: KafkaSecurity) -> set[str]:
    """The topics of a cluster; asking for all of them creates none.

    Args:
        bootstrap_servers: ``host:port`` separated by commas.
        security: how to connect.

    Raises:
        ConnectionError: if nothing listens there.
        KafkaException: if no broker answers within 5 s.
    """
    if not any(_listens(server) for server in bootstrap_servers.split(",")):
        raise ConnectionError("nothing listens there")  # librdkafka would try until the time is up
    return set(_admin(bootstrap_servers, security).list_topics(timeout=ANSWER_TIMEOUT_S).topics)


def _listens(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _admin(bootstrap_servers: str, security: KafkaSecurity) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap_servers, **security.for_librdkafka()}, logger=_log)
