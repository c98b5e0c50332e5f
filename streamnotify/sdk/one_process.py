"""The part of a publisher that lives in one process: its producer, its counters, its spool, its thread."""

from __future__ import annotations

import atexit
import itertools
import multiprocessing
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from msgspec import structs

from streamnotify import __version__
from streamnotify.domain.status import Rank, Status
from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.counters import Counters, LossLog, logger
from streamnotify.sdk.encoding import MISTAKES, encode
from streamnotify.sdk.event import Producer as ProducerField
from streamnotify.sdk.event import TaskEvent
from streamnotify.sdk.json_safe import text
from streamnotify.sdk.kafka_client import drain, kind_of_loss, make_producer
from streamnotify.sdk.spool_keeper import SpoolKeeper

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

POLL_S = 0.2  # delivery errors surface only when asked for (K5)
PURGE_S = 0.5  # for the reports about what was given up
JOIN_S = 1.0  # for a replay to note how far it came
_KEY_LENGTH = 255

ProcessId = tuple[int, int]
_forks = 0
# Held while a producer is made, and while a process forks: a child that is forked while another thread imports
# confluent-kafka would wait for that import forever.
_starting = threading.RLock()
_open: set[ProcessPublisher] = set()


def this_process() -> ProcessId:
    """Its id, and how many forks led to it: an id alone may be used again.

    uWSGI forks without telling Python; then the id alone has to do.
    """
    return os.getpid(), _forks


class ProcessPublisher:
    """Publishes from the process that made it; nothing is started before :meth:`start`.

    Args:
        config: its ``bootstrap_servers`` are not None.
    """

    def __init__(self, config: PublisherConfig) -> None:
        self.counters = Counters()
        self._config = config
        self._process = this_process()
        self._producer: Producer | None = None
        self._refusals: tuple[type[Exception], ...] = (BufferError,)
        self._seq = itertools.count(1)
        self._host = text(socket.gethostname(), _KEY_LENGTH)
        # Re-entrant: a signal handler of the task may publish in the middle of it.
        self._lock = threading.RLock()
        self._losses = LossLog(self.counters)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        directory = config.spool_dir
        self._spool = None if directory is None else SpoolKeeper(directory, self._host, os.getpid(), config.give_up_s)

    @property
    def is_started(self) -> bool:
        """Whether it can publish."""
        return self._producer is not None

    def start(self) -> None:
        """Make the producer, if it is not there yet.

        Raises:
            ImportError: without confluent-kafka.
            KafkaException: if librdkafka does not take a setting.
        """
        with _starting:
            if self._producer is not None:
                return
            producer, kafka_exception = make_producer(self._config)
            self._refusals = (BufferError, kafka_exception)
            # Before the thread's start, where gevent lets another greenlet come here.
            self._producer = producer
            _open.add(self)
            self._thread = threading.Thread(target=self._serve, name="streamnotify-publisher", daemon=True)
            self._thread.start()
            if multiprocessing.parent_process() is not None:  # its children end without atexit
                Finalize(None, self.close, exitpriority=10)

    def publish(self, event: TaskEvent, role: str | None) -> bool:
        """See Publisher.publish."""
        try:
            return self._produce(*self._encoded(event, role))
        except MISTAKES:
            self._count("invalid")
            if self.counters.invalid == 1:
                logger.exception("A task event could not be published")
            return False

    def wait(self, seconds: float) -> int:
        """See Publisher.wait."""
        return 0 if self._producer is None else drain(self._producer, seconds)

    def flush(self, seconds: float | None = None) -> int:
        """See Publisher.flush."""
        producer = self._producer
        if producer is None:
            return 0
        deadline = time.monotonic() + (self._config.flush_s if seconds is None else seconds)
        before = self.counters.not_taken
        if drain(producer, deadline - time.monotonic()):
            producer.purge(in_queue=True, in_flight=True, blocking=False)
            drain(producer, PURGE_S)
        self._replay(lambda: time.monotonic() >= deadline)
        self._losses.report(at_the_end=True)
        return self.counters.not_taken - before

    def close(self) -> None:
        """See Publisher.close. What a fork left of a parent's is left alone."""
        if self._process != this_process():
            return
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)
        self.flush()
        _open.discard(self)
        if self._spool is not None:
            self._spool.release()

    def _encoded(self, event: TaskEvent, role: str | None) -> tuple[bytes | None, bytes, bool]:
        now = datetime.now(UTC)
        source = self._config.source
        event = structs.replace(
            event,
            event_id=event.event_id or str(uuid.uuid4()),
            occurred_at=event.occurred_at or now.replace(microsecond=now.microsecond // 1000 * 1000),
            source=event.source or source or None,
            producer=event.producer
            or ProducerField(
                sdk="streamnotify-python",
                version=__version__,
                host=self._host,
                pid=self._process[0],
                role=role,
                seq=next(self._seq),
            ),
        )
        key = None if event.task_id is None else text(event.task_id, _KEY_LENGTH).encode()
        return key, encode(event), _is_final(event)

    def _produce(self, key: bytes | None, value: bytes, is_final: bool) -> bool:
        producer, topic = self._producer, self._config.topic
        assert producer is not None
        report = self._final_taken if is_final else self._taken
        try:
            try:
                producer.produce(topic, value, key, on_delivery=report)
            except BufferError:  # perhaps only with what was delivered meanwhile
                producer.poll(0)
                producer.produce(topic, value, key, on_delivery=report)
        except self._refusals as error:
            self._not_taken(kind_of_loss(error), key, value, is_final)
            return False  # the thread says so in the log: logging swallows what a signal handler raises into a task
        self._count("queued")  # what becomes of it the thread hears: to poll here, too, is a sixth of a publish
        return True

    def _taken(self, error: KafkaError | None, message: Message) -> None:
        self._reported(error, message, is_final=False)

    def _final_taken(self, error: KafkaError | None, message: Message) -> None:
        self._reported(error, message, is_final=True)

    def _reported(self, error: KafkaError | None, message: Message, *, is_final: bool) -> None:
        if error is None:
            self._count("delivered")
            if self._spool is not None:
                self._spool.kafka_is_there()
            return
        key: Any = message.key()
        value: Any = message.value()
        self._not_taken(kind_of_loss(error), key, value, is_final)

    def _not_taken(self, kind: str, key: bytes | None, value: bytes, is_final: bool) -> None:
        self._count(kind)
        if self._spool is None or not is_final or kind == "oversize":  # what is too large is so tomorrow
            return
        if self._spool.append(self._config.topic, key, value):
            self._count("spooled")

    def _replay(self, is_over: Callable[[], bool]) -> None:
        if self._spool is not None and self._producer is not None:
            self._count("replayed", self._spool.replay_if_due(self._producer, is_over))

    def _count(self, counter: str, number: int = 1) -> None:
        with self._lock:
            setattr(self.counters, counter, getattr(self.counters, counter) + number)

    def _serve(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                if self._producer is not None:
                    self._producer.poll(0)
                self._replay(self._stop.is_set)
                self._losses.report()
            except MISTAKES:
                logger.exception("The publisher's thread goes on after")
                time.sleep(POLL_S)


def _is_final(event: TaskEvent) -> bool:
    try:
        return event.final is not False and Status(event.status).rank >= Rank.ENDED
    except ValueError:  # no status at all: its dead letter will say so
        return False


def _close_all() -> None:
    for process in list(_open):
        process.close()


def _before_fork() -> None:
    _starting.acquire()


def _after_fork_in_parent() -> None:
    _starting.release()


def _after_fork_in_child() -> None:
    global _forks, _starting  # noqa: PLW0603 - facts about this process
    _forks += 1
    _starting = threading.RLock()
    _open.clear()  # Publisher keeps them


atexit.register(_close_all)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
