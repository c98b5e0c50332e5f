"""Asks the running product what it knows: queries to the stations that keep state, and their answers (DESIGN 3.11)."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import TypeVar

import msgspec

from streamnotify.errors import EngineFailure
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.commands import Answer, AskCheck, AskMailbox, AskMonitor, AskRuns
from streamnotify.wire.topics import ANSWERS, MAILBOXES, TASKS

Query = AskRuns | AskMonitor | AskCheck | AskMailbox
A = TypeVar("A", bound=Answer)

# Whom each is asked, and what the state asked for is keyed by.
_ASKED = {
    AskRuns: (TASKS, attrgetter("task_name")),
    AskCheck: (TASKS, attrgetter("task_name")),
    AskMonitor: (TASKS, attrgetter("name")),
    AskMailbox: (MAILBOXES, attrgetter("mailbox")),
}

PATIENCE = timedelta(seconds=10)


class NoAnswer(EngineFailure):
    """Some questions were not answered; ``answers`` has those that were, in the order of the questions."""

    def __init__(self, patience: timedelta, answers: Sequence[Answer | None]) -> None:
        missing = sum(answer is None for answer in answers)
        few = "" if missing == len(answers) else f" {missing} of {len(answers)} questions"
        super().__init__(
            f"no worker answered{few} within {patience.total_seconds():g} s: is `streamnotify worker` running?"
        )
        self.answers = answers


def ask(
    config: EngineConfig, queries: Sequence[Query], expected: type[A], *, patience: timedelta = PATIENCE
) -> list[A]:
    """The answers to some queries, in their order, all asked at once.

    Args:
        config: names of topics, and how the cluster is reached.
        queries: their ``question`` is set here.
        expected: what all of them are answered with.
        patience: how long no answer may come.

    Raises:
        NoAnswer: if no (further) answer came in time.
        EngineFailure: if the cluster does not answer.
        TopicsError: if a topic does not exist.
    """
    if not queries:
        return []
    asked = {query.question: query for query in map(_numbered, queries)}
    decode = msgspec.msgpack.Decoder(Answer).decode
    answers: dict[str, A] = {}
    topic = config.topic_name(ANSWERS)
    with TopicReader(config.bootstrap_servers, [topic], config.security, only_new=True) as reader:
        _publish(config, asked.values())
        deadline = time.monotonic() + patience.total_seconds()
        while len(answers) < len(asked):
            message = reader.next(timedelta(seconds=deadline - time.monotonic()))
            if message is None:
                raise NoAnswer(patience, [answers.get(question) for question in asked])
            try:
                answer = decode(message.value() or b"")
            except msgspec.DecodeError:
                continue  # a newer worker's, to somebody else
            if answer.question in asked and isinstance(answer, expected):
                answers[answer.question] = answer
                deadline = time.monotonic() + patience.total_seconds()
    return [answers[question] for question in asked]


def _numbered(query: Query) -> Query:
    return msgspec.structs.replace(query, question=secrets.token_hex(16))


def _publish(config: EngineConfig, queries: Iterable[Query]) -> None:
    records: defaultdict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for query in queries:
        topic, key = _ASKED[type(query)]
        records[config.topic_name(topic)].append((key(query), topic.encode(query)))
    for name, asked in records.items():
        publish(config.bootstrap_servers, name, asked, config.security)
