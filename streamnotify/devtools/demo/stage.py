"""What the scenes are played on: they publish, and wait for what comes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from confluent_kafka import Message

from streamnotify.devtools.demo.console_lines import ConsoleLines
from streamnotify.devtools.demo.words import cut, dead_letter_line, mail_line, suppressed_line
from streamnotify.devtools.inbox import Inbox, ReceivedMail
from streamnotify.devtools.service_process import ServiceProcess
from streamnotify.errors import StreamnotifyError
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.topics import DEAD_LETTERS, NOTIFICATION_STATUS, TASK_EVENTS, USER_PREFERENCES, Topic

READ = (DEAD_LETTERS, NOTIFICATION_STATUS, USER_PREFERENCES)  # what comes out
PATIENCE = timedelta(seconds=60)
_LOOK_EVERY = timedelta(seconds=0.1)

Say = Callable[[str], None]
Found = TypeVar("Found")


class DemoFailed(StreamnotifyError):
    """The demo did not show what it should."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where what runs is reached, and the token for ``web``'s HTTP interface."""

    kafka: str
    inbox: str
    web: str
    metrics: str
    token: str


@dataclass(slots=True)
class Stage:
    """What runs, and what came out so far.

    Args:
        say: shows a line.
        at: where everything is reached.
        inbox: has the mails.
        services: the worker and the web process.
        reader: reads the topics ``READ``.
        lines: the open console producers, by topic.
        patience: how long each thing may take.
    """

    say: Say
    at: Addresses
    inbox: Inbox
    services: Sequence[ServiceProcess]
    reader: TopicReader
    lines: Mapping[str, ConsoleLines]
    patience: timedelta = PATIENCE
    dead_letters: list[Message] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    preferences: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)  # the numbers of the mails told of

    def publish(self, topic: Topic, *records: str, show: int | None = None) -> None:
        """Type records into the console producer; ``show`` of them are shown."""
        for record in records[:show]:
            self.say(f"  {topic.name} ← {record}")
        if show is not None and len(records) > show:
            self.say(f"  … and {len(records) - show} more like it")
        self.lines[topic.name].type(records)

    def events(self, *events: Mapping[str, Any], show: int | None = None) -> None:
        """Publish task events."""
        self.publish(TASK_EVENTS, *(json.dumps(event) for event in events), show=show)

    def mail(self, to: str, about: str, why: str) -> ReceivedMail:
        """Wait for the mail to an address in whose subject this stands; say it and ``why``.

        Raises:
            DemoFailed: if it does not come in time.
        """

        def arrived() -> ReceivedMail | None:
            return next((mail for mail in self.inbox.mails if to in mail.recipients and about in mail.subject), None)

        mail = self.until(f'no mail to {to} about "{about}" came', arrived)
        self.shown.add(mail.number)
        self.say(f"  ✓ {mail_line(mail)}\n    {why}")
        return mail

    def suppressed(self, task_id: str, reason: str) -> None:
        """Wait for the decision that there is no mail about a run.

        Raises:
            DemoFailed: if it does not come in time.
        """

        def decided() -> dict[str, Any] | None:
            wanted = {"task_id": task_id, "status": "suppressed", "reason": reason}
            return next((status for status in self.statuses if wanted.items() <= status.items()), None)

        missing = f"nothing said that the mail about {task_id} is suppressed ({reason})"
        self.say(f"  ✓ {suppressed_line(self.until(missing, decided))}")

    def dead_letter(self, value: str) -> None:
        """Wait for a record that could not be used.

        Raises:
            DemoFailed: if it does not come in time.
        """

        def found() -> Message | None:
            return next((record for record in self.dead_letters if record.value() == value.encode()), None)

        self.say(f"  ✓ {dead_letter_line(self.until(f'no dead letter came of {cut(value)}', found))}")

    def until(self, missing: str, found: Callable[[], Found | None]) -> Found:
        """Wait until ``found`` has something, which is returned.

        Raises:
            DemoFailed: in time it had nothing, which ``missing`` says.
            ServiceEnded: if a service has ended.
        """
        deadline = time.monotonic() + self.patience.total_seconds()
        while (there := found()) is None:
            if time.monotonic() > deadline:
                raise DemoFailed(self._blamed(f"{missing} within {self.patience.total_seconds():g} s"))
            self.take_in(_LOOK_EVERY)
        return there

    def take_in(self, within: timedelta) -> list[Message]:
        """What has come out on the topics since the last look, waited for so long.

        Raises:
            ServiceEnded: if a service has ended.
        """
        for service in self.services:
            service.require_alive()
        taken = []
        while record := self.reader.next(within):
            taken.append(record)
            self._note(record)
            within = timedelta(milliseconds=1)
        return taken

    def _note(self, record: Message) -> None:
        if record.topic() == DEAD_LETTERS.name:
            self.dead_letters.append(record)
        elif record.topic() == NOTIFICATION_STATUS.name:
            self.statuses.append(json.loads(record.value() or b"{}"))
        else:
            self.preferences[(record.key() or b"").decode()] = json.loads(record.value() or b"{}")

    def _blamed(self, what: str) -> str:
        came = [mail_line(mail) for mail in self.inbox.mails]
        logs = [f"`streamnotify {each.command}` said last:\n{each.log_tail()}" for each in self.services]
        return "\n".join([what, "Mails that came:", *(came or ["none"]), *logs])
