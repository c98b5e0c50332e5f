"""Publishes records and waits until they are safe: for commands that put something on a topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.client_faults import ClientFaults, is_denied
from streamnotify.wire.kafka_security import KafkaSecurity

_ANY = -1  # librdkafka's own word for: by the key


class Placed(NamedTuple):
    """Where a record lies: ``timestamp`` in milliseconds since 1970, as its readers see it.

    ``offset`` is -1 if the cluster did not say, because it had the record already when it was sent once more.
    """

    partition: int
    offset: int
    timestamp: int


class TopicWriter:
    """Puts records on a topic, in a ``with`` block whose end waits for the cluster's word on each.

    A key's records go where Kafka's own producers and the engine put them.

    Args:
        bootstrap_servers: ``host:port,...``.
        topic: its name on the broker.
        security: how we prove ourselves.
        timeout: how long the cluster may take for a record.

    Raises:
        EngineFailure: on entering, at a put or on leaving, if the cluster does not answer or did not take a record;
            others may have been taken.
        TopicsError: on entering, if the topic does not exist.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        security: KafkaSecurity | None = None,
        *,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        security = security or KafkaSecurity()
        self._servers = bootstrap_servers
        self._faults = ClientFaults(bootstrap_servers, security)
        self._topic = topic
        self._timeout = timeout
        self._refused: str | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                # With more, a batch that is refused by a partition just created is lost without an error if a later one
                # is taken before it is retried: the broker begins with any sequence, and the client counts it as taken.
                "max.in.flight": 1,
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": timeout // timedelta(milliseconds=1),
                "message.max.bytes": 3 * 1024 * 1024,
                "allow.auto.create.topics": False,
                "error_cb": self._faults,
                **security.for_librdkafka(),
            },
            logger=self._faults,
        )

    def __enter__(self) -> TopicWriter:
        try:
            found = self._producer.list_topics(self._topic, timeout=self._timeout.total_seconds()).topics[self._topic]
        except KafkaException as error:
            self._producer.poll(0)  # what the client has to say is told in here
            raise EngineFailure(self._faults.sentence(error.args[0], f"topic {self._topic}")) from error
        if found.error is not None and is_denied(found.error):
            raise EngineFailure(self._faults.sentence(found.error, f"topic {self._topic}"))
        if found.error is not None:
            raise TopicsError(f"Topic {self._topic}: {found.error.str()}. Run: streamnotify topics apply")
        return self

    def put(
        self,
        key: str | bytes | None,
        value: bytes | None,
        taken: Callable[[Placed], None] | None = None,
        *,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
        timestamp_ms: int = 0,
    ) -> None:
        """Send a record; value None removes the key. Waits only if very many are under way.

        Args:
            taken: called once the cluster has it, by a later ``put``, by ``wait`` or at the end of the block.
            partition: where it is put; by default where its key belongs.
            timestamp_ms: since 1970; 0: now.
        """

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._refused = self._refused or error.str()
            elif taken is not None:
                offset = message.offset()
                taken(Placed(message.partition() or 0, -1 if offset is None else offset, message.timestamp()[1]))

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value,
                    key=key,
                    partition=_ANY if partition is None else partition,
                    timestamp=timestamp_ms,
                    headers=list(headers),
                    on_delivery=delivered,
                )
                break
            except BufferError:  # the client's memory is full; each record in it ends within the time-out
                self.wait(timedelta(milliseconds=100))
            except KafkaException as error:
                raise self._failure(error) from error
        self.wait(timedelta())

    def wait(self, most: timedelta) -> None:
        """Let what is under way get on for at most so long."""
        self._producer.poll(most.total_seconds())
        if self._refused is not None:
            raise self._failure(self._refused)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._producer.purge()
        left = self._producer.flush(self._timeout.total_seconds() + 1)
        if error is None and (self._refused is not None or left):
            raise self._failure(self._refused or "no answer")

    def _failure(self, why: object) -> EngineFailure:
        return EngineFailure(f"Kafka at {self._servers} did not take a record for {self._topic}: {why}")


def publish(
    bootstrap_servers: str,
    topic: str,
    records: Iterable[tuple[str | None, bytes | None]],
    security: KafkaSecurity | None = None,
    *,
    timeout: timedelta = timedelta(seconds=10),
) -> None:
    """Publish records (key, value), in the order they are to lie in, within each partition; see TopicWriter.

    Raises:
        EngineFailure: if one was not taken; earlier ones may have been.
        TopicsError: if the topic does not exist.
    """
    with TopicWriter(bootstrap_servers, topic, security, timeout=timeout) as writer:
        for key, value in records:
            writer.put(key, value)
