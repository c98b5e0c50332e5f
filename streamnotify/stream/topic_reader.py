"""Reads topics without belonging to a group: for commands that show what lies on them, or what comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.client_faults import ClientFaults, is_denied
from streamnotify.wire.kafka_security import KafkaSecurity

_PAUSE_S = 0.1  # before asking again for what the cluster does not know yet
_FETCH_WAIT_MS = 50  # with librdkafka's 500 every look to the end of a topic takes half a second more


def header_pairs(message: Message) -> list[tuple[str, bytes | None]]:
    """A record's headers in their order; a name may be there more than once."""
    pairs: Any = message.headers() or []  # whatever its stubs say
    return list(pairs)


class TopicReader:
    """A reader of whole topics; as a context manager it is closed at the end of the block.

    Args:
        bootstrap_servers: ``host:port,...``.
        topics: their names on the broker.
        security: how we prove ourselves.
        timeout: how long the cluster may stay silent.
        only_new: begin with what is added from now on, not at the start.
        since: begin with the first record that is not older; by default at the start.
        among: which partitions to read of a topic that has so many; by default all.

    Raises:
        EngineFailure: if the cluster does not answer.
        TopicsError: if one of the topics does not exist.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        security: KafkaSecurity | None = None,
        *,
        timeout: timedelta = timedelta(seconds=15),
        only_new: bool = False,
        since: datetime | None = None,
        among: Callable[[int], Collection[int]] = range,
    ) -> None:
        security = security or KafkaSecurity()
        self._servers = bootstrap_servers
        self._faults = ClientFaults(bootstrap_servers, security)
        self._timeout_s = timeout.total_seconds()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "streamnotify-reader",  # demanded by the client; nothing is ever committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
                "error_cb": self._faults,
                **security.for_librdkafka(),
            },
            logger=self._faults,
        )
        self._partitions = [
            TopicPartition(topic, partition, self._end_of(topic, partition) if only_new else OFFSET_BEGINNING)
            for topic in topics
            for partition in among(self._partitions_of(topic))
        ]
        if since is not None:
            self._partitions = self._from(since)
        self._consumer.assign(self._partitions)

    def __enter__(self) -> TopicReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def to_the_end(self) -> Iterator[Message]:
        """Every record that is there now, in order within each partition."""
        left = {(each.topic, each.partition) for each in self._partitions}
        deadline = time.monotonic() + self._timeout_s
        while left:
            message = self._poll(max(0.0, deadline - time.monotonic()))
            if message is None:
                raise EngineFailure(f"Kafka at {self._servers} stopped answering")
            deadline = time.monotonic() + self._timeout_s
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the name librdkafka gives it
                left.discard((message.topic(), message.partition()))
            else:
                raise EngineFailure(self._faults.sentence(error, f"topic {message.topic()}"))

    def next(self, within: timedelta) -> Message | None:
        """The next record, waited for so long; None if none has come."""
        deadline = time.monotonic() + within.total_seconds()
        while (left := deadline - time.monotonic()) > 0:
            message = self._poll(left)
            if message is not None and message.error() is None:
                return message
        return None

    def at(self, topic: str, partition: int, offset: int) -> Message | None:
        """The record at a position; None if there is none."""
        if (topic, partition) not in {(each.topic, each.partition) for each in self._partitions}:
            return None
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        message = self._poll(self._timeout_s)
        found = message is not None and message.error() is None and message.offset() == offset
        return message if found else None

    def _poll(self, seconds: float) -> Message | None:
        """A record or an error. We belong to no group, so it does not matter if the one we name is not allowed us."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._consumer.poll(max(0.0, deadline - time.monotonic()))
            error = None if message is None else message.error()
            if error is None or error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                return message

    def _end_of(self, topic: str, partition: int) -> int:
        """Asked for now: librdkafka's own "end" is looked up only when it first fetches."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=self._timeout_s)
                return end
            except KafkaException as error:  # also while a partition is without a leader: just created, or moving
                if time.monotonic() > deadline:
                    raise self._failure(error) from error
                time.sleep(_PAUSE_S)

    def _from(self, since: datetime) -> list[TopicPartition]:
        """The partitions, each at its first record that is not older than ``since``; without one, at its end."""
        ms = int(since.timestamp() * 1000)
        asked = [TopicPartition(each.topic, each.partition, ms) for each in self._partitions]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=self._timeout_s)
        except KafkaException as error:
            raise self._failure(error) from error
        refused = next((each.error for each in found if each.error is not None), None)
        if refused is not None:
            raise EngineFailure(self._faults.sentence(refused))
        return found

    def _failure(self, error: KafkaException) -> EngineFailure:
        self._consumer.poll(0)  # what the client has to say is told in here
        return EngineFailure(self._faults.sentence(error.args[0]))

    def _partitions_of(self, topic: str) -> int:
        """How many the topic has."""
        try:
            found = self._consumer.list_topics(topic, timeout=self._timeout_s).topics[topic]
        except KafkaException as error:
            raise self._failure(error) from error
        if found.error is not None and is_denied(found.error):
            raise EngineFailure(self._faults.sentence(found.error, f"topic {topic}"))
        if found.error is not None:
            raise TopicsError(f"Topic {topic}: {found.error.str()}. Run: streamnotify topics apply")
        return len(found.partitions)
