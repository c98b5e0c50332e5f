"""The file follows the topics of a real broker, whatever happens to either."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_writer import publish
from streamnotify.web.read_model import schema
from streamnotify.web.read_model.follower import Followed, Follower
from streamnotify.web.read_model.following import Intervals
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.wire.topic_layout import layouts
from tests.conftest import OwnKafka

PARTITIONS = 3


class Topics:
    """A deployment's topics, and a file that follows them."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.path = schema.file_in(directory)
        self.model = ReadModel(self.path)
        self.followed = Followed(self.path, kafka.bootstrap_servers, prefix=prefix)

    def follower(self) -> Follower:
        """Another one, which looks at topics more often than is of use elsewhere."""
        moment = timedelta(seconds=0.3)
        return Follower(self.followed, intervals=Intervals(look=moment, measure=moment))

    def apply(self) -> None:
        """Create those that are not there."""
        TopicAdmin(self.kafka.bootstrap_servers).apply(layouts(self.prefix, "streamnotify", PARTITIONS, 1))

    def publish(self, topic: str, **records: Mapping[str, Any]) -> None:
        """Put records, by key."""
        values = [(key, json.dumps(value).encode()) for key, value in records.items()]
        publish(self.kafka.bootstrap_servers, f"{self.prefix}{topic}", values)

    def steps(self, *names: str, status: str = "sent") -> None:
        """Put a step of each of these notifications."""
        at = datetime.now(UTC).isoformat()
        self.publish(
            "notification-status",
            **{name: {"notification_id": name, "status": status, "at": at} for name in names},
        )

    def known(self) -> set[str]:
        """The notifications in the file."""
        return {each.notification_id for each in self.model.notifications(organization=None, limit=200).items}

    def is_caught_up(self, since: datetime) -> bool:
        """Whether all that was there at ``since`` is in."""
        freshness = self.model.freshness()
        return freshness is not None and freshness.caught_up_at is not None and freshness.caught_up_at >= since


def until(condition: Callable[[], bool], within: timedelta = timedelta(seconds=60)) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within.total_seconds()
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def topics(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Topics:
    made = Topics(kafka, f"{unique}.", tmp_path)
    made.apply()
    return made


def test_what_is_published_is_in_soon_and_how_far_it_is_behind_is_known(topics: Topics) -> None:
    assert topics.model.freshness() is None
    topics.steps("n1")
    with topics.follower():
        until(lambda: topics.known() == {"n1"})
        topics.steps("n2", "n3")
        published_at = datetime.now(UTC)
        until(lambda: topics.known() == {"n1", "n2", "n3"})
        until(lambda: topics.is_caught_up(published_at))
    freshness = topics.model.freshness()
    assert freshness is not None
    assert freshness.behind_records == 0
    groups = AdminClient({"bootstrap.servers": topics.kafka.bootstrap_servers}).list_consumer_groups().result()
    assert "streamnotify-read-model" not in {group.group_id for group in groups.valid}


def test_a_follower_goes_on_where_the_last_one_was(topics: Topics) -> None:
    topics.steps("n1")
    with topics.follower():
        until(lambda: topics.known() == {"n1"})
    topics.steps("n2")
    assert topics.known() == {"n1"}
    with topics.follower():
        until(lambda: topics.known() == {"n1", "n2"})


def test_a_topic_made_anew_is_read_anew_and_the_others_stay(topics: Topics, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    topics.publish("users", u1={"name": "Ann"}, u2={"name": "Bob"})
    topics.steps("n1")
    with topics.follower():
        until(lambda: topics.model.user("u2") is not None and topics.known() == {"n1"})
        admin = AdminClient({"bootstrap.servers": topics.kafka.bootstrap_servers})
        admin.delete_topics([f"{topics.prefix}users"])[f"{topics.prefix}users"].result()
        until(lambda: "missing topics: users" in caplog.text)
        topics.apply()
        topics.publish("users", u3={"name": "Cem"})
        until(lambda: topics.model.user("u3") is not None and topics.model.user("u1") is None)
        topics.steps("n2")
        until(lambda: topics.known() == {"n1", "n2"})
    assert "topic users is not the one that was read" in caplog.text


def test_partitions_that_are_added_are_read(topics: Topics) -> None:
    with topics.follower():
        until(lambda: topics.is_caught_up(datetime.now(UTC) - timedelta(seconds=5)))
        TopicAdmin(topics.kafka.bootstrap_servers).apply(layouts(topics.prefix, "streamnotify", PARTITIONS + 2, 1)[:1])
        runs = {f"r{number}": {"task_name": "t", "task_id": f"r{number}", "status": "Running"} for number in range(40)}
        topics.publish("task-events", **runs)
        until(lambda: len(topics.model.runs(organization=None, limit=200).items) == len(runs))


def test_missing_topics_are_named_once_with_what_to_do_and_waited_for(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    topics = Topics(kafka, f"{unique}.", tmp_path)
    with topics.follower():
        until(lambda: "missing topics: dead-letters, monitor-configs, " in caplog.text)
        topics.apply()
        topics.steps("n1")
        until(lambda: topics.known() == {"n1"})
        until(lambda: "up to date" in caplog.text)
    assert caplog.text.count("Run: streamnotify topics apply") == 1


def test_one_of_several_writes_and_the_next_takes_over(topics: Topics, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with topics.follower():
        until(lambda: "up to date" in caplog.text)
        with topics.follower() as second:
            until(lambda: "another process writes" in caplog.text)
            topics.steps("n1")
            until(lambda: topics.known() == {"n1"})
            assert second is not None
    caplog.clear()
    first = topics.follower()
    with first:
        until(lambda: "up to date" in caplog.text)
        second = topics.follower()
        with second:
            until(lambda: "another process writes" in caplog.text)
            first.__exit__()
            topics.steps("n2")
            until(lambda: topics.known() == {"n1", "n2"})


def test_a_file_that_is_none_is_made_anew(topics: Topics, caplog: pytest.LogCaptureFixture) -> None:
    topics.path.parent.mkdir(parents=True)
    topics.path.write_bytes(b"no database, but long enough to be looked at" * 100)
    topics.steps("n1")
    assert topics.known() == set()
    with topics.follower():
        until(lambda: topics.known() == {"n1"})
    assert "is broken" in caplog.text


def test_a_file_that_is_removed_is_made_anew(topics: Topics) -> None:
    topics.steps("n1")
    with topics.follower():
        until(lambda: topics.known() == {"n1"})
        for file in topics.path.parent.glob("*.sqlite3*"):
            file.unlink()
        assert topics.known() == set()
        until(lambda: topics.known() == {"n1"})


@pytest.fixture
def frozen(own_kafka: OwnKafka, tmp_path: Path) -> Topics:
    broker = own_kafka()
    broker.start()
    topics = Topics(broker, "", tmp_path)
    topics.apply()
    return topics


def test_while_kafka_is_frozen_or_away_answers_go_on_and_then_it_catches_up(
    frozen: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    frozen.steps("n1")
    with frozen.follower():
        until(lambda: frozen.known() == {"n1"} and frozen.is_caught_up(datetime.now(UTC) - timedelta(seconds=1)))
        frozen.kafka.pause()
        frozen_at = datetime.now(UTC)
        until(lambda: "does not answer" in caplog.text)
        assert frozen.known() == {"n1"}
        freshness = frozen.model.freshness()
        assert freshness is not None
        assert freshness.caught_up_at is not None
        assert freshness.caught_up_at <= frozen_at + timedelta(seconds=1)
        frozen.kafka.resume()
        frozen.steps("n2")
        until(lambda: frozen.known() == {"n1", "n2"})
        frozen.kafka.kill()
        frozen.kafka.start()
        frozen.steps("n3")
        until(lambda: frozen.known() == {"n1", "n2", "n3"})
