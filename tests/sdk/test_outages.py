"""What is lost while Kafka is away, and what comes later (celery-sdk K6)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.sdk import Publisher, Status, TaskEvent
from streamnotify.sdk.spool import spool_files
from tests.conftest import OwnKafka
from tests.sdk import topics

# Publishes final events with its broker down, and ends as told.
SPOOL = """
topic, directory, count = sys.argv[1:]
config = PublisherConfig(bootstrap_servers="127.0.0.1:1", topic=topic, spool_dir=Path(directory), flush_s=0.1)
publisher = Publisher(config)
for number in range(int(count)):
    publisher.publish(TaskEvent(task_name="a", status=Status.COMPLETED, task_id=str(number)))
publisher.flush(0.1)
print(publisher.counters.spooled, flush=True)
sys.stdin.readline()
"""
REPLAY = """
publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], topic=sys.argv[2], spool_dir=Path(sys.argv[3])))
publisher.publish(TaskEvent(task_name="b", status=Status.RUNNING))
sys.stdin.readline()
"""


def publish_finals(publisher: Publisher, count: int) -> None:
    for number in range(count):
        publisher.publish(TaskEvent(task_name="a", status=Status.COMPLETED, task_id=str(number)))


def ids(kafka: EmbeddedKafka, topic: str) -> list[str]:
    """The events' ids, those of final ones only."""
    return [event["event_id"] for event in topics.events(kafka.bootstrap_servers, topic) if event["task_name"] == "a"]


@pytest.mark.parametrize("give_up_s", [2, pytest.param(30, marks=pytest.mark.soak)])
def test_kafka_away_and_back_costs_no_final_event_and_doubles_none(
    own_kafka: OwnKafka, tmp_path: Path, give_up_s: int
) -> None:
    kafka = own_kafka()
    kafka.start()
    topics.create(kafka.bootstrap_servers, "task-events")
    with closing(
        topics.publisher(kafka.bootstrap_servers, "task-events", spool_dir=tmp_path, give_up_s=give_up_s)
    ) as publisher:
        publish_finals(publisher, 100)
        assert publisher.wait(30) == 0
        kafka.stop()
        publish_finals(publisher, 1000)
        for _ in range(50):
            publisher.publish(TaskEvent(task_name="b", status=Status.RUNNING))
        topics.until(lambda: publisher.counters.timed_out >= 1050, "not all were given up")
        assert publisher.counters.spooled == 1000
        kafka.start()
        # Nothing more is published: what lies in the spool comes by itself.
        topics.until(lambda: publisher.counters.replayed >= 1000, "not all were replayed")
    found = ids(kafka, "task-events")
    assert len(set(found)) == 1100
    assert spool_files(tmp_path) == []


def test_what_does_not_fit_into_the_queue_is_spooled_at_once(tmp_path: Path) -> None:
    spooling = topics.publisher(topics.NOWHERE, "task-events", spool_dir=tmp_path, queue_events=10, flush_s=0)
    with closing(spooling) as publisher:
        publish_finals(publisher, 30)
        publisher.publish(TaskEvent(task_name="a", status=Status.STOPPED, final=False))  # not the end of its run
        assert (publisher.counters.dropped_full, publisher.counters.spooled) == (21, 20)
    assert publisher.counters.queued == 0  # closed
    assert len(spool_files(tmp_path)) == 1


def test_what_a_dead_process_left_is_replayed_by_the_next_and_a_living_ones_is_not(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    topic = topics.create(kafka.bootstrap_servers, f"{unique}.task-events")
    dead, living = (topics.python(SPOOL, topic, str(tmp_path), "50") for _ in range(2))
    for process in (dead, living):
        assert process.stdout is not None
        assert process.stdout.readline() == "50\n"
    dead.kill()
    dead.communicate()
    with closing(topics.publisher(kafka.bootstrap_servers, topic, spool_dir=tmp_path)) as publisher:
        publisher.publish(TaskEvent(task_name="b", status=Status.RUNNING))
        topics.until(lambda: publisher.counters.replayed >= 50, "not all were replayed")
        (left,) = spool_files(tmp_path)
        assert f"-{living.pid}." in left.name
    living.communicate("\n")
    with closing(topics.publisher(kafka.bootstrap_servers, topic, spool_dir=tmp_path)) as publisher:
        publisher.publish(TaskEvent(task_name="b", status=Status.RUNNING))
        publisher.flush(30)  # a short process need not wait for the publisher's thread
        assert publisher.counters.replayed == 50
    assert len(ids(kafka, topic)) == len(set(ids(kafka, topic))) == 100
    assert spool_files(tmp_path) == []


def test_a_replay_that_is_killed_loses_nothing_and_repeats_at_most(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    topic = topics.create(kafka.bootstrap_servers, f"{unique}.task-events")
    topics.output(SPOOL, topic, str(tmp_path), "20000")
    (spooled,) = spool_files(tmp_path)
    before = spooled.read_bytes()
    replaying = topics.python(REPLAY, kafka.bootstrap_servers, topic, str(tmp_path))
    topics.until(lambda: topics.count(kafka.bootstrap_servers, topic) > 500, "nothing was replayed")
    replaying.kill()
    replaying.communicate()
    assert spooled.read_bytes() == before, "it came to its end before it was killed"
    with closing(topics.publisher(kafka.bootstrap_servers, topic, spool_dir=tmp_path)) as publisher:
        publisher.publish(TaskEvent(task_name="b", status=Status.RUNNING))
        topics.until(lambda: publisher.counters.replayed == 20_000, "not all were replayed")
    found = ids(kafka, topic)
    assert len(found) > len(set(found)) == 20_000
    assert spool_files(tmp_path) == []
