"""The declaration of the topics, and the page that shows it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from streamnotify.stream.config import EngineConfig
from streamnotify.wire import topics
from streamnotify.wire.durations import format_duration
from streamnotify.wire.topic_layout import MIB, Partitions, TopicLayout, layouts

DOCS = Path(__file__).parents[2] / "docs" / "topics.md"
DECLARED = {layout.name: layout for layout in layouts("", "<app>", 8, 1)}
COMMANDS = ["<app>-tasks", "<app>-mailboxes", "<app>-outbox"]
CHANGELOGS = [name for name in DECLARED if name.endswith("-changelog")]


def test_the_prefix_stands_before_every_name_as_given() -> None:
    names = [layout.name for layout in layouts("acme.", "app", 8, 1)]
    assert all(name.startswith("acme.") for name in names)
    assert {"acme.task-events", "acme.app-tasks", "acme.app-tasks-changelog"} < set(names)


@pytest.mark.parametrize(
    "topic",
    [each for each in vars(topics).values() if isinstance(each, topics.Topic)],
    ids=lambda topic: topic.name,
)
def test_every_topic_a_station_uses_is_declared_under_the_engines_name(topic: topics.Topic) -> None:
    engine = EngineConfig("broker:9092", "acme.app", Path(), topic_prefix="acme.")
    names = [layout.name for layout in layouts("acme.", "app", 8, 1)]
    assert engine.topic_name(topic) in names


def test_the_changelogs_have_the_engines_names() -> None:
    engine = EngineConfig("broker:9092", "<app>", Path())
    assert [engine.changelog_name(station) for station in ("tasks", "mailboxes", "deliveries")] == CHANGELOGS


@pytest.mark.parametrize("name", COMMANDS)
def test_topics_of_commands_have_one_clock_and_fourteen_days(name: str) -> None:
    config = DECLARED[name].config
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["retention.ms"] == str(14 * 24 * 3600 * 1000)


@pytest.mark.parametrize("name", CHANGELOGS)
def test_changelogs_are_compacted_and_nothing_else(name: str) -> None:
    assert DECLARED[name].config["cleanup.policy"] == "compact"
    assert "retention.ms" not in DECLARED[name].config


@pytest.mark.parametrize("layout", DECLARED.values(), ids=lambda layout: layout.name)
def test_nothing_acknowledged_is_lost_to_an_unclean_election(layout: TopicLayout) -> None:
    assert layout.config_with(1)["unclean.leader.election.enable"] == "false"
    assert layout.config_with(1)["min.insync.replicas"] == "1"
    assert layout.config_with(3)["min.insync.replicas"] == "2"


def _row(layout: TopicLayout) -> str:
    count = {
        Partitions.ONE: "exactly 1",
        Partitions.EXACT: "exactly P",
        Partitions.GROWS: "P, may be more or fewer; `apply` only adds",
        Partitions.KEPT: "P, any other count is kept",
    }[layout.partition_rule]
    policy = layout.config["cleanup.policy"]
    name = "retention.ms" if policy == "delete" else "delete.retention.ms"
    kept = format_duration(timedelta(milliseconds=int(layout.config[name])))
    size = f"{int(layout.config['max.message.bytes']) / MIB:g} MiB"
    return f"| `{layout.name}` | {count} | {policy} | {'' if policy == 'delete' else 'tombstones '}{kept} | {size} |"


def test_the_page_shows_the_topics_as_declared() -> None:
    start = DOCS.read_text().partition("\n## ")[0]
    rows = [line for line in start.splitlines() if line.startswith("| `")]
    assert rows == [_row(layout) for layout in DECLARED.values()]


def test_answers_are_not_kept_longer_than_anybody_waits_for_them() -> None:
    assert DECLARED["<app>-answers"].config["retention.ms"] == str(3600 * 1000)
    assert set(COMMANDS + CHANGELOGS) | {"<app>-answers"} == {name for name in DECLARED if name.startswith("<app>-")}
