"""``streamnotify topics`` and ``streamnotify dead-letters`` against the real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.errors import BadRecord
from streamnotify.wire.dead_letter import dead_letter_headers
from tests.cli.running import streamnotify


class Command:
    """``streamnotify`` with the test broker and a prefix of our own."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str, directory: Path) -> None:
        self.prefix = prefix
        self._directory = directory
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": prefix,
            "STREAMNOTIFY_PARTITIONS": "2",
        }

    def __call__(self, *arguments: str, **environment: str) -> Result:
        return streamnotify(*arguments, directory=self._directory, **{**self._environment, **environment})


@pytest.fixture
def command(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Iterator[Command]:
    yield Command(kafka, f"{unique}.", tmp_path)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    if made := [name for name in admin.list_topics(timeout=10).topics if name.startswith(f"{unique}.")]:
        for deleted in admin.delete_topics(made).values():
            deleted.result()


def test_a_dry_run_changes_nothing_and_apply_is_repeatable(command: Command) -> None:
    dry = command("topics", "apply", "--dry-run")
    assert dry.exit_code == 0
    assert f"would be created: {command.prefix}task-events, 2 partitions\n" in dry.output
    assert command("topics", "diff").exit_code == 1

    applied = command("topics", "apply")
    assert (applied.exit_code, applied.output.splitlines()[-1]) == (0, "15 topics are as declared")
    assert command("topics", "apply").output == "15 topics are as declared\n"
    assert command("topics", "diff").exit_code == 0


def test_the_differences_can_be_had_as_json(command: Command) -> None:
    listed = json.loads(command("topics", "diff", "--json").output)
    assert listed[0] == {
        "topic": f"{command.prefix}task-events",
        "what": "topic",
        "actual": None,
        "wanted": "2 partitions",
        "blocks": True,
        "remedy": None,
    }


def test_what_only_a_person_can_change_is_left_with_exit_code_1(command: Command) -> None:
    command("topics", "apply")
    applied = command("topics", "apply", STREAMNOTIFY_PARTITIONS="3")
    assert applied.exit_code == 1
    assert f"corrected: {command.prefix}task-events, partitions from 2 to 3\n" in applied.output
    assert f"left: {command.prefix}streamnotify-tasks: partitions is 2, declared 3 (cannot be changed" in applied.output


def _dead_letter(
    kafka: EmbeddedKafka, topic: str, value: bytes, key: bytes = b"k", reason: str = "one of … is allowed"
) -> None:
    headers: dict[str, str | bytes | None] = dict(
        dead_letter_headers(
            topic="task-events",
            partition=1,
            offset=17,
            stage="ingest",
            error=BadRecord(reason, "status"),
            attempts=1,
            failed_at=datetime(2024, 1, 15, 14, 30, tzinfo=UTC),
        )
    )
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, value=value, key=key, headers=headers, partition=1)
    assert producer.flush(15) == 0


def test_dead_letters_are_listed_with_their_reasons_and_shown_whole(command: Command, kafka: EmbeddedKafka) -> None:
    command("topics", "apply")
    assert (command("dead-letters", "list").exit_code, command("dead-letters", "list").output) == (
        0,
        "0 dead letters\n",
    )
    for value in (b"\xff\xfe", b'{"status": "Broken"}'):
        _dead_letter(kafka, f"{command.prefix}dead-letters", value)

    listed = command("dead-letters", "list")
    assert (listed.exit_code, listed.output.splitlines()) == (
        1,
        [
            "1-0      2024-01-15T14:30:00+00:00  task-events-1@17  ingest: status: one of … is allowed",
            "1-1      2024-01-15T14:30:00+00:00  task-events-1@17  ingest: status: one of … is allowed",
            "2 dead letters",
        ],
    )
    assert [each["id"] for each in json.loads(command("dead-letters", "list", "--limit=1", "--json").output)] == ["1-1"]
    shown = json.loads(command("dead-letters", "show", "1-0", "--json").output)
    assert (shown["key"], shown["value"], shown["field"]) == ("k", r"\xff\xfe", "status")
    assert 'value: {"status": "Broken"}\n' in command("dead-letters", "show", "1-1").output
    assert command("dead-letters", "show", "0-0").output == "Error: there is no dead letter 0-0\n"
    assert command("dead-letters", "show", "first").exit_code == 2


def test_a_dead_letter_cannot_write_to_the_terminal_what_is_not_there(command: Command, kafka: EmbeddedKafka) -> None:
    command("topics", "apply")
    evil = b"a\x1b]0;owned\x07\rb\xe2\x80\xae\n{}"
    _dead_letter(kafka, f"{command.prefix}dead-letters", evil, key=evil, reason=evil.decode())
    listed, shown = (command("dead-letters", *arguments).output for arguments in (("list",), ("show", "1-0")))
    for output in (listed, shown):
        assert r"a\x1b]0;owned\x07\rb\u202e" in output
        assert not set(output) & set("\x1b\x07\r\u202e")
    assert "\n{}\n" in shown, "the lines of a value are kept"
    assert len(listed.splitlines()) == 2


@pytest.mark.parametrize("position", ["99-0", "0-99", "0-999999999999999999"])
def test_a_position_that_is_not_there_is_said_so_at_once(command: Command, position: str) -> None:
    command("topics", "apply")
    began = time.monotonic()
    shown = command("dead-letters", "show", position)
    assert (shown.exit_code, shown.output) == (1, f"Error: there is no dead letter {position}\n")
    assert time.monotonic() - began < 10


def test_dead_letters_without_topics_say_which_command_to_run(command: Command) -> None:
    shown = command("dead-letters", "list")
    assert shown.exit_code == 1
    assert shown.output.endswith("Run: streamnotify topics apply\n")
