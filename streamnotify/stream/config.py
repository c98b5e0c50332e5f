"""What the engine is told at its start."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.topics import TASK_EVENTS, Topic

SESSION_TIMEOUT = timedelta(seconds=10)
REBALANCE_TIMEOUT = timedelta(seconds=60)
LONGEST_LEASE = SESSION_TIMEOUT / 2
# A container is replaced in less. As long the partitions of a worker lie idle that does not come back.
STATIC_SESSION_TIMEOUT = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one engine process.

    Args:
        bootstrap_servers: ``host:port,...`` of the Kafka cluster.
        app_id: consumer group and first part of internal names, topic prefix included.
        data_dir: directory of this worker's RocksDB state; no other process may use it.
        security: how we prove ourselves.
        topic_prefix: put before every public topic's name.
        partitions: partition count of the internal topics.
        deployment_epoch: raised by an operator to have records handled again on purpose (DESIGN 3.8).
        health_bind: host and port of /livez, /readyz and /metrics; None for no health server.
        session_timeout: after this silence the group gives our partitions to others.
        rebalance_timeout: how long the group waits in a rebalance for members that have to let go first.
        heartbeat: how often we tell the group that we live.
        settle: how long events in transit get before a second counts as complete (DESIGN section 6).
        frontier_topic: the public topic whose intake makes the frontier.
        instance_id: this worker's own name in the group, for which its partitions wait until the session time-out
            when it stops; None: they go to others at once.
        after_failure: whether an engine before this one has ended unasked.
    """

    bootstrap_servers: str
    app_id: str
    data_dir: Path
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    topic_prefix: str = ""
    partitions: int = 8
    deployment_epoch: int = 0
    health_bind: tuple[str, int] | None = None
    session_timeout: timedelta = SESSION_TIMEOUT
    rebalance_timeout: timedelta = REBALANCE_TIMEOUT
    heartbeat: timedelta = timedelta(seconds=2)
    settle: timedelta = timedelta(seconds=2)
    frontier_topic: str = TASK_EVENTS.name
    instance_id: str | None = None
    after_failure: bool = False

    @property
    def lease_limit(self) -> timedelta:
        """How long we may act after the group's last answer: others own our partitions after the session time-out."""
        return min(self.session_timeout / 2, LONGEST_LEASE)

    @property
    def client(self) -> dict[str, Any]:
        """Arguments every aiokafka client of ours starts with."""
        return {"bootstrap_servers": self.bootstrap_servers, **_for_aiokafka(self.security)}

    def topic_name(self, topic: Topic) -> str:
        """The topic's name on the broker (DESIGN section 9, "Codecs")."""
        return f"{self.app_id}-{topic.name}" if topic.internal else f"{self.topic_prefix}{topic.name}"

    def changelog_name(self, station: str) -> str:
        """The changelog of a station's table, as Faust names it."""
        return f"{self.app_id}-{station}-changelog"


@functools.cache
def _for_aiokafka(security: KafkaSecurity) -> Mapping[str, Any]:
    return security.for_aiokafka()  # once: reading certificates takes a while, and clients share the context
