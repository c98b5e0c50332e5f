"""What the writer says was taken is there, and what was not is said."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import Placed, TopicWriter
from streamnotify.wire.topic_layout import layouts


def fresh_topic(servers: str) -> str:
    """A topic that was created just now."""
    prefix = f"writer{uuid.uuid4().hex[:10]}."
    [layout] = [each for each in layouts(prefix, "app", 4, 1) if each.name == f"{prefix}task-events"]
    TopicAdmin(servers).apply([layout])
    return layout.name


def write_and_compare(servers: str, count: int) -> None:
    """Writes so many records to a fresh topic; each must lie where the writer says, with the time it says."""
    topic = fresh_topic(servers)
    said: dict[bytes, Placed] = {}
    with TopicWriter(servers, topic) as writer:
        for number in range(count):
            value = b"%d" % number
            writer.put(str(number % 7), value, partial(said.__setitem__, value))
    with TopicReader(servers, [topic]) as reader:
        found = {
            bytes(each.value() or b""): Placed(each.partition() or 0, each.offset() or 0, each.timestamp()[1])
            for each in reader.to_the_end()
        }
    assert len(found) == count
    assert found == said


def put_many(writer: TopicWriter, count: int) -> None:
    """Puts so many small records."""
    for _ in range(count):
        writer.put(None, b"x")


def test_what_was_taken_lies_where_it_is_said_to(kafka: EmbeddedKafka) -> None:
    write_and_compare(kafka.bootstrap_servers, 500)


@pytest.mark.soak
def test_nothing_that_was_taken_is_lost_on_topics_just_created(kafka: EmbeddedKafka) -> None:
    """With several requests in flight one in twenty such topics lost its first records on a busy machine."""
    for _ in range(100):
        write_and_compare(kafka.bootstrap_servers, 60)


def test_a_topic_that_is_not_there_is_said_before_anything_is_put(kafka: EmbeddedKafka) -> None:
    with pytest.raises(TopicsError, match="streamnotify topics apply"), TopicWriter(kafka.bootstrap_servers, "none"):
        pytest.fail("it was entered")


def test_a_cluster_that_does_not_answer_ends_it_though_more_is_put_than_memory_takes() -> None:
    writer = TopicWriter("127.0.0.1:1", "any", timeout=timedelta(seconds=1))
    with pytest.raises(EngineFailure, match=r"127\.0\.0\.1:1 did not take a record for any: "):
        put_many(writer, 200_000)
