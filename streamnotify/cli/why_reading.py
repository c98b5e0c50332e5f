"""Finds a notification's steps on ``notification-status``."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import click
from confluent_kafka import Message
from email_validator import EmailNotValidError
from pydantic import ValidationError

from streamnotify.settings import Settings
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.writer import key_hash
from streamnotify.why.story import digests_of
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.notification_status import NotificationStatus
from streamnotify.wire.topics import NOTIFICATION_STATUS, Topic

_SHOWN_EVERY = 20_000  # records
_MOST_ROUNDS = 20  # from a digest that was handed on to the next
_PLAIN = re.compile(rb"[A-Za-z0-9_.@-]+")  # what no JSON writer escapes


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read: the cluster and prefix of ``settings``, nothing older than ``since``."""

    settings: Settings
    since: datetime | None = None

    def records(self, topic: Topic, among: Callable[[int], Collection[int]] = range) -> Iterator[Message]:
        """The records of a topic in some of its partitions; a terminal is shown how many have been read."""
        name = f"{self.settings.topic_prefix}{topic.name}"
        with TopicReader(
            self.settings.kafka_bootstrap_servers,
            [name],
            self.settings.kafka_security,
            since=self.since,
            among=among,
        ) as reader:
            yield from _counted(reader.to_the_end(), name)


def needle(text: str) -> bytes:
    """What is in every JSON that has ``text`` in it, however its writer escapes: for a quick look before parsing."""
    return max(_PLAIN.findall(text.encode()), key=len, default=b"")


def normalised(address: str) -> str:
    """An address as records name it."""
    try:
        return ascii_address(address)
    except EmailNotValidError:  # what is no address may stand in a record all the same
        return address


def notifications_where(
    source: Source, wanted: Callable[[NotificationStatus], bool], names: Iterable[str]
) -> list[str]:
    """The notifications that have a step as ``wanted``, the one with the newest such step last.

    Args:
        source: where to read.
        wanted: whether a step is one.
        names: each such step has one of them in it, in any letter case.
    """
    latest: dict[str, datetime] = {}
    signs = [needle(name).lower() for name in names]
    for message in source.records(NOTIFICATION_STATUS):
        value = (message.value() or b"").lower()
        if any(sign in value for sign in signs):
            step = _step(message)
            if step is not None and wanted(step):
                latest[step.notification_id] = max(step.at, latest.get(step.notification_id, step.at))
    return sorted(latest, key=lambda name: latest[name])


def steps_of(source: Source, notification_ids: Iterable[str]) -> dict[str, list[NotificationStatus]]:
    """All steps of notifications and of the digests they lay in, in the order of time; only of those that have any."""
    found: dict[str, list[NotificationStatus]] = {}
    wanted, asked = set(notification_ids), set[str]()
    for _ in range(_MOST_ROUNDS):
        wanted -= asked
        if not wanted:
            break
        asked |= wanted
        new = _own_steps(source, wanted)
        found |= new
        wanted = {digest_id for steps in new.values() for digest_id in digests_of(steps)}
    return found


def _own_steps(source: Source, wanted: set[str]) -> dict[str, list[NotificationStatus]]:
    """A notification's steps lie in one partition, which its id gives."""
    keys = {each.encode() for each in wanted}
    found: defaultdict[str, list[NotificationStatus]] = defaultdict(list)
    for message in source.records(NOTIFICATION_STATUS, lambda count: {key_hash(key) % count for key in keys}):
        step = _step(message) if message.key() in keys else None
        if step is None or step.notification_id not in wanted:
            continue
        if step not in found[step.notification_id]:  # the engine repeats records after a crash
            found[step.notification_id].append(step)
    return {name: sorted(steps, key=lambda step: step.at) for name, steps in found.items()}


def _step(message: Message) -> NotificationStatus | None:
    """The step; None if the record is none that this release can read."""
    try:
        step = NotificationStatus.model_validate_json(message.value() or b"")
    except ValidationError:
        return None
    return step if step.at.tzinfo is not None else None


def _counted(messages: Iterator[Message], name: str) -> Iterator[Message]:
    shows = sys.stderr.isatty()
    number = 0
    for number, message in enumerate(messages, 1):
        if shows and number % _SHOWN_EVERY == 0:
            click.echo(f"\r{number:,} records of {name} read", nl=False, err=True)
        yield message
    if shows and number >= _SHOWN_EVERY:
        click.echo(f"\r{number:,} records of {name} read", err=True)
