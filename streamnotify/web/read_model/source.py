"""The public topics as they come: read committed, without a group; where to read is asked of the file alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from streamnotify.errors import EngineFailure
from streamnotify.stream.client_faults import ClientFaults
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import header_pairs
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.store import Place
from streamnotify.web.read_model.tables import TABLES
from streamnotify.wire.kafka_security import KafkaSecurity
from streamnotify.wire.topics import NOTIFICATION_STATUS

_RECORDS = 30_000  # of a batch, at most
_BYTES = 32 * 1024 * 1024  # likewise, about
_AT_ONCE = 200  # taken from the client: one may have 2 MiB
_WAIT_S = 0.1  # for these
_LONGEST_S = 1.0  # a batch is waited for, while records keep coming


class Batch(NamedTuple):
    """Records, and the first offset behind them of each partition that anything is known of."""

    records: list[RawRecord]
    positions: dict[Place, int]


class FoundTopic(NamedTuple):
    """A topic that is there: its id, and how many partitions it has."""

    topic_id: str
    partitions: int


class Source:
    """A reader of the public topics; as a context manager it is closed at the end.

    Args:
        bootstrap_servers: ``host:port,...``.
        security: how we prove ourselves.
        prefix: of the topics' names.
        timeout: how long the cluster may stay silent.

    Every method raises EngineFailure if the cluster does not answer, let us in or allow it.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        security: KafkaSecurity,
        prefix: str,
        *,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._names = {f"{prefix}{topic}": topic for topic in TABLES}
        self._faults = ClientFaults(bootstrap_servers, security)
        self._admin = TopicAdmin(bootstrap_servers, security, timeout=timeout)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "streamnotify-read-model",  # demanded by the client; nothing is ever committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",  # what expired unread is in no row that is still kept
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16 * 1024,
                "fetch.max.bytes": 16 * 1024 * 1024,
                "reconnect.backoff.max.ms": 2_000,
                "error_cb": self._faults,
                **security.for_librdkafka(),
            },
            logger=self._faults,
        )

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def topics(self) -> dict[str, FoundTopic]:
        """The topics that are there, by logical name."""
        ids, counts = self._admin.topic_ids(self._names), self._admin.partition_counts(self._names)
        return {self._names[name]: FoundTopic(id_, counts[name]) for name, id_ in ids.items() if name in counts}

    def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """The offset behind the last record of each of these partitions."""
        full = {topic: name for name, topic in self._names.items()}
        found = self._admin.ends([(full[topic], partition) for topic, partition in places])
        return {(self._names[name], partition): end for (name, partition), end in found.items()}

    def read_from(self, places: Mapping[Place, int | None]) -> None:
        """Read these partitions, each from an offset on; None: from its start."""
        full = {topic: name for name, topic in self._names.items()}
        self._consumer.assign(
            [
                TopicPartition(full[topic], partition, OFFSET_BEGINNING if offset is None else offset)
                for (topic, partition), offset in places.items()
            ]
        )

    def batch(self) -> Batch:
        """What has come, waited for a moment."""
        batch = Batch([], {})
        size = 0
        until = time.monotonic() + _LONGEST_S
        while len(batch.records) < _RECORDS and size < _BYTES and time.monotonic() < until:
            messages = self._consumer.consume(_AT_ONCE, _WAIT_S)
            size += sum(self._take(message, batch) for message in messages)
            if len(messages) < _AT_ONCE:
                break
        return batch

    def _take(self, message: Message, batch: Batch) -> int:
        """Add to the batch what it is; its size in bytes."""
        if (error := message.error()) is not None:
            self._take_error(message, error, batch)
            return 0
        topic, partition, offset = self._place(message)
        value = message.value()
        named = [] if topic == NOTIFICATION_STATUS.name else header_pairs(message)
        headers = [(name, content or b"") for name, content in named]
        raw = RawRecord(topic, partition, offset, message.timestamp()[1], message.key(), value, headers)
        batch.records.append(raw)
        batch.positions[topic, partition] = offset + 1
        return len(value or b"") + sum(len(content) for _, content in headers)

    def _take_error(self, message: Message, error: KafkaError, batch: Batch) -> None:
        """What is no record; it may be about no topic at all."""
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the name librdkafka gives it
            topic, partition, offset = self._place(message)
            batch.positions[topic, partition] = offset  # behind a transaction's mark too, which is no record
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:  # we belong to no group: its ACLs do not matter
            raise EngineFailure(self._faults.sentence(error, f"topic {message.topic()}"))

    def _place(self, message: Message) -> tuple[str, int, int]:
        return self._names[message.topic() or ""], message.partition() or 0, message.offset() or 0
