"""Looks at the broker's topics, and makes them follow their declared layout."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent import futures
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    TopicDescription,
)

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.client_faults import ClientFaults, is_denied
from streamnotify.stream.topic_differences import BrokerTopic, Difference, compare
from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.topic_layout import TopicLayout

T = TypeVar("T")
APPLY_COMMAND = "streamnotify topics apply"
_PASSING = frozenset(
    {
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
    }
)
_PAUSE_S = 0.1

logger = logging.getLogger(__name__)


class TopicAdmin:
    """The topics of one Kafka cluster.

    Args:
        bootstrap_servers: ``host:port,...``.
        security: how we prove ourselves.
        timeout: for each request, and for changes to become visible.

    Every method raises EngineFailure if the cluster does not answer, let us in or allow it, and TopicsError if it
    refuses.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity | None = None,
        *,
        timeout: timedelta = timedelta(seconds=15),
    ) -> None:
        security = security or KafkaSecurity()
        self._servers = bootstrap_servers
        self._timeout_s = timeout.total_seconds()
        self._faults = ClientFaults(bootstrap_servers, security)
        config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "error_cb": self._faults}
        self._admin = AdminClient({**config, **security.for_librdkafka()}, logger=self._faults)

    def brokers(self) -> int:
        """How many brokers the cluster has now."""
        cluster = self._answer(self._admin.describe_cluster(request_timeout=self._timeout_s))
        return len(cluster.nodes) if cluster else 0

    def default_replication(self) -> int:
        """3 where the cluster has three brokers, else 1 (SPEC section 8)."""
        return 3 if self.brokers() >= 3 else 1

    def topics(self, names: Collection[str]) -> dict[str, BrokerTopic]:
        """Those of ``names`` that exist, by name."""
        described = self._described(names)
        configs = self._configs(described)
        return {
            name: BrokerTopic(
                topic_id=str(topic.topic_id),
                partitions=len(topic.partitions),
                replication=min(len(partition.replicas) for partition in topic.partitions),
                config=configs[name],
                led=all(partition.leader for partition in topic.partitions),
            )
            for name, topic in described.items()
            if name in configs
        }

    def _described(self, names: Collection[str]) -> dict[str, TopicDescription]:
        if not names:
            return {}
        answers = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        found = {
            name: self._answer(answer, KafkaError.UNKNOWN_TOPIC_OR_PART, about=f"topic {name}")
            for name, answer in answers.items()
        }
        return {name: topic for name, topic in found.items() if topic}

    def _configs(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        answers = self._admin.describe_configs(resources, request_timeout=self._timeout_s)
        found = {
            resource.name: self._answer(answer, KafkaError.UNKNOWN_TOPIC_OR_PART, about=f"topic {resource.name}")
            for resource, answer in answers.items()
        }
        return {
            name: {entry.name: str(entry.value) for entry in entries.values()}
            for name, entries in found.items()
            if entries
        }

    def topic_ids(self, names: Collection[str]) -> dict[str, str]:
        """The ids of those of ``names`` that exist; a topic made anew has a new one (DESIGN 3.8)."""
        return {name: str(topic.topic_id) for name, topic in self._described(names).items()}

    def partition_counts(self, names: Collection[str]) -> dict[str, int]:
        """How many partitions those of ``names`` have that exist."""
        return {name: len(topic.partitions) for name, topic in self._described(names).items()}

    def ends(self, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Of each partition (topic, number) that exists, the offset behind its last committed record."""
        latest: Any = OffsetSpec.latest  # it has no types
        asked = {TopicPartition(*place): latest() for place in places}
        level = IsolationLevel.READ_COMMITTED
        answers = self._admin.list_offsets(asked, isolation_level=level, request_timeout=self._timeout_s)
        found = {
            (place.topic, place.partition): self._answer(
                answer, KafkaError.UNKNOWN_TOPIC_OR_PART, about=f"topic {place.topic}"
            )
            for place, answer in answers.items()
        }
        return {place: end.offset for place, end in found.items() if end is not None}

    def diff(self, layouts: Sequence[TopicLayout]) -> list[Difference]:
        """All differences between the cluster and ``layouts``, in their order."""
        found = self.topics([layout.name for layout in layouts])
        return [difference for layout in layouts for difference in compare(layout, found.get(layout.name))]

    def check(self, layouts: Sequence[TopicLayout]) -> None:
        """Refuse to go on with topics that are missing or wrong; harmless differences are logged.

        Raises:
            TopicsError: listing them, with the command to run.
        """
        differences = self.diff(layouts)
        for difference in differences:
            if not difference.blocks:
                logger.warning("Topic differs from its declaration: %s", difference)
        if blocking := [difference for difference in differences if difference.blocks]:
            listed = "\n".join(f"  {difference}" for difference in blocking)
            mended = any(difference.remedy is None for difference in blocking)
            raise TopicsError(f"Topics are missing or wrong:\n{listed}" + (f"\nRun: {APPLY_COMMAND}" if mended else ""))

    def apply(self, layouts: Sequence[TopicLayout]) -> list[Difference]:
        """Create what is missing, add partitions where allowed, correct policies; wait until it is visible.

        Applying twice changes nothing the second time.

        Returns:
            What was corrected. What only a person can correct (``remedy``) is left and remains in :meth:`diff`.

        Raises:
            TopicsError: if the cluster refuses a change.
            EngineFailure: if changes do not become visible in time.
        """
        differences = [difference for difference in self.diff(layouts) if difference.remedy is None]
        by_name = {layout.name: layout for layout in layouts}
        self._create([by_name[each.topic] for each in differences if each.actual is None])
        self._add_partitions([by_name[each.topic] for each in differences if each.what == "partitions"])
        self._correct([each for each in differences if each.actual is not None and each.what != "partitions"])
        self._until(lambda: self._applied(layouts))
        return differences

    def _create(self, missing: Sequence[TopicLayout]) -> None:
        new = [
            NewTopic(
                layout.name,
                num_partitions=layout.partitions,
                replication_factor=layout.replication,
                config=layout.config_with(layout.replication),
            )
            for layout in missing
        ]
        if new:
            for name, created in self._admin.create_topics(new, request_timeout=self._timeout_s).items():
                self._answer(created, KafkaError.TOPIC_ALREADY_EXISTS, about=f"topic {name}")

    def _add_partitions(self, growing: Sequence[TopicLayout]) -> None:
        new = [NewPartitions(layout.name, layout.partitions) for layout in growing]
        if new:
            for name, grown in self._admin.create_partitions(new, request_timeout=self._timeout_s).items():
                self._answer(grown, about=f"topic {name}")

    def _correct(self, differences: Sequence[Difference]) -> None:
        changes: dict[str, list[ConfigEntry]] = {}
        for each in differences:
            entry = ConfigEntry(each.what, each.wanted, incremental_operation=AlterConfigOpType.SET)
            changes.setdefault(each.topic, []).append(entry)
        resources = [
            ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
            for name, entries in changes.items()
        ]
        if resources:
            altered = self._admin.incremental_alter_configs(resources, request_timeout=self._timeout_s)
            for resource, corrected in altered.items():
                self._answer(corrected, about=f"topic {resource.name}")

    def _answer(self, future: Future[T], *harmless: int, about: str | None = None) -> T | None:
        """The answer, or None for an error whose code is in ``harmless``; ``about``: what it concerns."""
        deadline = time.monotonic() + self._timeout_s + 5
        try:
            while not futures.wait([future], timeout=_PAUSE_S).done:
                self._admin.poll(0)  # what the client has to say is told in here
                if self._faults.is_locked_out or time.monotonic() > deadline:
                    raise EngineFailure(self._faults.sentence())
            return future.result()
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() in harmless:
                return None
            if reason.code() < 0 or reason.code() in _PASSING or is_denied(reason):
                raise EngineFailure(self._faults.sentence(reason, about)) from error
            raise TopicsError(f"Kafka at {self._servers} refuses: {reason.str()}") from error

    def _applied(self, layouts: Sequence[TopicLayout]) -> bool:
        found = self.topics([layout.name for layout in layouts])
        left = [each for layout in layouts for each in compare(layout, found.get(layout.name)) if each.remedy is None]
        return not left and all(topic.led for topic in found.values())

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise EngineFailure(f"Kafka at {self._servers} does not show the changed topics in time")
            time.sleep(_PAUSE_S)
