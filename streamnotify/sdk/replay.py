"""Brings what lies in the spool to Kafka: at least once, each event with the id it always had."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from streamnotify.sdk.counters import logger
from streamnotify.sdk.kafka_client import kind_of_loss
from streamnotify.sdk.spool import SpooledEvent, SpoolFile, private, spool_files, spooled_lines

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

WINDOW = 500  # events on their way at once, so that new ones have room
_STEP_S = 0.02


@dataclass(slots=True)
class Replayed:
    """What became of spooled events.

    Args:
        taken: by Kafka.
        left: in the spool, for the next time.
        dropped: too large for the topic, or no event; the latter stay in a file named ``.unreadable``.
        unusable: files that could not be read or cut; what was taken of them comes again.
    """

    taken: int = 0
    left: int = 0
    dropped: int = 0
    unusable: int = 0


def replay_all(producer: Producer, directory: Path, host: str | None, is_over: Callable[[], bool]) -> Replayed:
    """Replay every file that no living process writes, of each topic until Kafka refuses an event for it.

    Killed in the middle, it leaves all files as they were, so that events may come twice, with the same id. A file that
    cannot be used, such as another user's, is left as it is, and said in the log.

    Args:
        host: default: the files of every host.
        is_over: asked often; True: come to an end.

    Raises:
        OSError: if the directory cannot be read.
    """
    total, refused = Replayed(), set[str]()
    for path in spool_files(directory, host):
        if is_over():
            break
        try:
            file = SpoolFile.claim(path)
            if file is not None:
                _FileReplay(producer, file, is_over, total, refused).run()
        except OSError as error:
            logger.warning("%s cannot be replayed: %s", path, error)
            total.unusable += 1
    return total


class _FileReplay:
    """Of one file.

    Args:
        total: gets what became of its events.
        refused: the topics that Kafka does not take now; a topic that is not there looks as if Kafka were away.
    """

    def __init__(
        self, producer: Producer, file: SpoolFile, is_over: Callable[[], bool], total: Replayed, refused: set[str]
    ) -> None:
        self._producer = producer
        self._file = file
        self._is_over = is_over
        self._total = total
        self._refused = refused
        self._taking: set[str] = set()  # topics
        self._left: set[int] = set()  # where the lines begin that must stay
        self._on_their_way = 0
        self._dropped = 0

    def run(self) -> None:
        """Send what is in the file, and leave in it what was not taken.

        Raises:
            OSError: if the file cannot be used; it is as it was.
        """
        try:
            unreadable = self._send()
            self._total.left += len(self._left)
            self._total.dropped += self._dropped + len(unreadable)
            if unreadable:
                _set_aside(self._file.path, unreadable)
            if self._taking or self._dropped or unreadable or not self._left:
                self._file.keep_only(set(self._left))
        finally:
            self._file.close()

    def _send(self) -> list[bytes]:
        unreadable = []
        for line in spooled_lines(self._file.path):
            if line.event is None:
                unreadable.append(line.line)
                continue
            self._left.add(line.offset)
            # The first one of a topic finds out whether Kafka takes it.
            self._wait_for_fewer_than(WINDOW if line.event.topic in self._taking else 1)
            if line.event.topic not in self._refused and not self._is_over():
                self._produce(line.offset, line.event)
        self._wait_for_fewer_than(1)
        return unreadable

    def _produce(self, offset: int, event: SpooledEvent) -> None:
        report = partial(self._reported, offset, event.topic)
        try:
            self._producer.produce(event.topic, event.value, event.key, on_delivery=report)
        except Exception as error:  # noqa: BLE001 - BufferError, KafkaException: as if Kafka had said so
            self._not_taken(offset, event.topic, error)
        else:
            self._on_their_way += 1

    def _reported(self, offset: int, topic: str, error: KafkaError | None, _: Message) -> None:
        self._on_their_way -= 1
        if error is None:
            self._total.taken += 1
            self._taking.add(topic)
            self._left.discard(offset)
        else:
            self._not_taken(offset, topic, error)

    def _not_taken(self, offset: int, topic: str, error: object) -> None:
        if kind_of_loss(error) == "oversize":  # it will never be taken
            logger.error("A spooled task event is lost: it is too large for the topic")
            self._dropped += 1
            self._left.discard(offset)
        else:
            self._refused.add(topic)

    def _wait_for_fewer_than(self, number: int) -> None:
        while self._on_their_way >= number and not self._is_over():
            self._producer.poll(0)
            time.sleep(_STEP_S)


def _set_aside(path: Path, lines: list[bytes]) -> None:
    aside = path.with_suffix(".unreadable")
    logger.warning("%s has %d lines that are no events; they are in %s now", path, len(lines), aside)
    with open(aside, "ab", opener=private) as kept:
        kept.writelines(lines)
