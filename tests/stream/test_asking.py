"""Asking the running product, with a worker's part played by a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.asking import NoAnswer, Query, ask
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.stream.writer import key_hash
from streamnotify.wire.commands import (
    Answer,
    AskMailbox,
    AskMonitor,
    AskRuns,
    MailboxAnswer,
    MonitorAnswer,
    RunsAnswer,
    RunSeen,
)
from streamnotify.wire.topic_layout import layouts
from streamnotify.wire.topics import ANSWERS, MAILBOXES, TASKS, Topic

PARTITIONS = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENT = timedelta(seconds=60)
IMPATIENT = timedelta(seconds=1)


@pytest.fixture
def config(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> EngineConfig:
    TopicAdmin(kafka.bootstrap_servers).apply(layouts(f"{unique}.", "sn", PARTITIONS, 1))
    return EngineConfig(kafka.bootstrap_servers, f"{unique}.sn", tmp_path, topic_prefix=f"{unique}.")


def answered(query: Query) -> list[bytes]:
    """A worker's answer: one run, called as the task is; or the mailbox itself."""
    if isinstance(query, AskMailbox):
        return [ANSWERS.encode(MailboxAnswer(query.question, query.mailbox))]
    assert isinstance(query, AskRuns)
    return [ANSWERS.encode(RunsAnswer(query.question, (RunSeen(query.task_name, NOW, "Completed"),)))]


@contextmanager
def a_worker(
    config: EngineConfig, answers: Callable[[Query], list[bytes]] = answered, asked: Topic = TASKS
) -> Iterator[list[int]]:
    """Somebody who answers what is asked; the partitions it was asked on."""
    partitions: list[int] = []
    over = threading.Event()

    def work(reader: TopicReader) -> None:
        while not over.is_set():
            message = reader.next(timedelta(seconds=0.2))
            if message is not None:
                assert asked.decode is not None
                partitions.append(message.partition() or 0)
                found = [(None, answer) for answer in answers(asked.decode(message.value() or b""))]
                publish(config.bootstrap_servers, config.topic_name(ANSWERS), found)

    with TopicReader(config.bootstrap_servers, [config.topic_name(asked)], only_new=True) as reader:
        thread = threading.Thread(target=work, args=(reader,))
        thread.start()
        try:
            yield partitions
        finally:
            over.set()
            thread.join()


def runs_of(*names: str) -> list[AskRuns]:
    return [AskRuns("", name, NOW, 10) for name in names]


def test_answers_come_in_the_order_of_the_questions_each_asked_where_its_state_is(config: EngineConfig) -> None:
    names = [f"täglich {number}" for number in range(20)]
    with a_worker(config) as partitions:
        answers = ask(config, runs_of(*names), RunsAnswer, patience=PATIENT)
    assert [answer.runs[0].task_id for answer in answers] == names
    assert sorted(partitions) == sorted(key_hash(name.encode()) % PARTITIONS for name in names)


def test_a_mailbox_is_asked_where_its_own_state_is(config: EngineConfig) -> None:
    names = [f"user:u{number}" for number in range(9)]
    with a_worker(config, asked=MAILBOXES) as partitions:
        answers = ask(config, [AskMailbox("", name) for name in names], MailboxAnswer, patience=PATIENT)
    assert [answer.mailbox for answer in answers] == names
    assert sorted(partitions) == sorted(key_hash(name.encode()) % PARTITIONS for name in names)


def test_what_others_were_answered_is_passed_over(config: EngineConfig) -> None:
    def confused(query: Query) -> list[bytes]:
        newer = msgspec.msgpack.encode(["of a later release", query.question])
        others = ANSWERS.encode(RunsAnswer("somebody else's", ()))
        other_kind = ANSWERS.encode(MonitorAnswer(query.question, None))
        return [newer, others, other_kind, *answered(query)]

    with a_worker(config, confused):
        [answer] = ask(config, runs_of("a"), RunsAnswer, patience=PATIENT)
    assert answer.runs[0].task_id == "a"


def test_an_answer_of_long_ago_is_not_taken_for_one(config: EngineConfig) -> None:
    old: list[Answer] = []

    def once(query: Query) -> list[bytes]:
        found = answered(query) if not old else []
        old.append(msgspec.msgpack.decode(answered(query)[0], type=Answer))
        return found

    with a_worker(config, once):
        ask(config, runs_of("a"), RunsAnswer, patience=PATIENT)
        with pytest.raises(NoAnswer):
            ask(config, runs_of("a"), RunsAnswer, patience=IMPATIENT)


def test_without_a_worker_the_person_is_told_what_to_start(config: EngineConfig) -> None:
    with pytest.raises(NoAnswer, match=r"^no worker answered within 1 s: is `streamnotify worker` running\?$"):
        ask(config, [AskMonitor("", "hourly")], MonitorAnswer, patience=IMPATIENT)


def test_answers_that_came_are_kept_where_others_did_not(config: EngineConfig) -> None:
    def half(query: Query) -> list[bytes]:
        return answered(query) if isinstance(query, AskRuns) and query.task_name == "b" else []

    with a_worker(config, half), pytest.raises(NoAnswer, match="no worker answered 2 of 3 questions") as raised:
        ask(config, runs_of("a", "b", "c"), RunsAnswer, patience=timedelta(seconds=5))
    first, second, third = raised.value.answers
    assert (first, third) == (None, None)
    assert isinstance(second, RunsAnswer)


def test_nothing_is_asked_where_there_is_no_question(tmp_path: Path) -> None:
    assert ask(EngineConfig("127.0.0.1:1", "sn", tmp_path), [], RunsAnswer) == []


def test_missing_topics_name_the_command_that_makes_them(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="streamnotify topics apply"):
        ask(EngineConfig(kafka.bootstrap_servers, f"{unique}.sn", tmp_path), runs_of("a"), RunsAnswer)


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFailure, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        ask(EngineConfig("127.0.0.1:1", "sn", tmp_path), runs_of("a"), RunsAnswer)
