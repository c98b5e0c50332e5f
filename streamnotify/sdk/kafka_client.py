"""The producer of confluent-kafka as an application can bear it: few threads, little memory, quiet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.counters import QUIET_S, logger

if TYPE_CHECKING:
    from confluent_kafka import Producer

_PAUSE_S = 0.001
CLIENT_ID = "streamnotify-sdk"


def make_producer(config: PublisherConfig) -> tuple[Producer, type[Exception]]:
    """A producer for this process, and what it raises; confluent-kafka is first imported here (80 ms).

    Raises:
        ImportError: without confluent-kafka.
        KafkaException: if librdkafka does not take a setting, such as a certificate.
    """
    from confluent_kafka import KafkaException, Producer  # noqa: PLC0415 - no task pays before there is an event

    log: Any = QuietLog()
    return Producer(producer_settings(config), logger=log), KafkaException


def producer_settings(config: PublisherConfig) -> dict[str, Any]:
    """librdkafka's settings for a publisher (research/celery-sdk.md K3)."""
    return {
        "bootstrap.servers": config.bootstrap_servers,
        "client.id": CLIENT_ID,
        "acks": "all",
        "allow.auto.create.topics": False,
        "compression.type": config.compression,
        "enable.idempotence": config.idempotence,
        # With more, librdkafka loses what it says is taken on a partition that was just created (topic_writer).
        "max.in.flight": 1 if config.idempotence else 5,
        "linger.ms": config.linger_ms,
        "message.timeout.ms": max(1, round(config.give_up_s * 1000)),
        "partitioner": "murmur2_random",  # as Kafka's own producers: one partition per key
        "queue.buffering.max.messages": config.queue_events,
        "queue.buffering.max.kbytes": max(1, config.queue_bytes // 1024),
        "log.connection.close": False,  # brokers close idle connections; that is no news
        **config.security.for_librdkafka(),
    }


def drain(producer: Producer, seconds: float, *, step_s: float = 0.01) -> int:
    """Wait until a producer has nothing left, for at most so many seconds; returns how many messages it still has.

    Between short waits other greenlets have their turn: a long one would stop gevent's hub (K5).
    """
    deadline = time.monotonic() + seconds
    while left := producer.flush(max(0.0, min(step_s, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            break
        time.sleep(_PAUSE_S)
    return left


def kind_of_loss(error: object) -> str:
    """The counter for an event that was not taken: by what ``produce`` raised, or the error of a delivery report."""
    if isinstance(error, BufferError):
        return "dropped_full"
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - it is there if an error of its is

    if isinstance(error, KafkaException):
        error = error.args[0]
    if not isinstance(error, KafkaError):
        return "refused"
    if error.code() in {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}:
        return "oversize"
    given_up = {KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001 - its API
    return "timed_out" if error.code() in given_up else "refused"


class QuietLog:
    """Takes librdkafka's own lines, which come by the dozen while a broker is down; one a minute goes on to ours."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = float("-inf")
        self._left_out = 0

    def log(self, level: int, message: str, *arguments: Any) -> None:
        """As ``logging.Logger.log``; nothing is worse than a warning, since no task fails from it."""
        now = self._clock()
        if now < self._next_at:
            self._left_out += 1
            return
        more = f" ({self._left_out} such lines left out before)" if self._left_out else ""
        self._next_at, self._left_out = now + QUIET_S, 0
        logger.log(min(level, logging.WARNING), message + more, *arguments)
