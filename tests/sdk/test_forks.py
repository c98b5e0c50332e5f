"""Each process has a producer of its own, whatever was forked from whatever (celery-sdk K1)."""

from __future__ import annotations

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.sdk import topics

BEGIN = """
import multiprocessing, threading
publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], topic=sys.argv[2]))
def said(who): publisher.publish(TaskEvent(task_name=who, status=Status.RUNNING))
def child(work):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.fixture
def topic(kafka: EmbeddedKafka, unique: str) -> str:
    return topics.create(kafka.bootstrap_servers, f"{unique}.task-events")


def publishers(kafka: EmbeddedKafka, topic: str, script: str) -> dict[str, tuple[int, int]]:
    """By task name: the process that published it, and its number there."""
    topics.output(BEGIN + script, kafka.bootstrap_servers, topic)
    found = topics.events(kafka.bootstrap_servers, topic)
    assert len({event["task_name"] for event in found}) == len(found)
    return {event["task_name"]: (event["producer"]["pid"], event["producer"]["seq"]) for event in found}


def test_after_a_fork_parent_child_and_grandchild_publish_each_for_itself(kafka: EmbeddedKafka, topic: str) -> None:
    found = publishers(
        kafka,
        topic,
        """
said("before")
def grandchild():
    said("grandchild")
    assert publisher.flush(30) == 0
def work():
    assert publisher.counters.queued == 0
    said("child")
    child(grandchild)
    assert publisher.flush(30) == 0 and publisher.counters.delivered == 1
child(work)
said("after")
""",
    )
    assert {name: number for name, (_, number) in found.items()} == {
        "before": 1,
        "child": 1,
        "grandchild": 1,
        "after": 2,
    }
    assert len({pid for pid, _ in found.values()}) == 3


def test_a_child_that_ends_as_a_program_does_loses_nothing(kafka: EmbeddedKafka, topic: str) -> None:
    found = publishers(
        kafka,
        topic,
        """
said("before")
if not os.fork():
    said("child")
    sys.exit()
os.wait()
""",
    )
    assert set(found) == {"before", "child"}


def test_the_children_of_multiprocessing_lose_nothing(kafka: EmbeddedKafka, topic: str) -> None:
    found = publishers(
        kafka,
        topic,
        """
said("before")
context = multiprocessing.get_context("fork")
process = context.Process(target=said, args=("child",))
process.start()
process.join()
with context.Pool(2) as pool:
    pool.map(said, ["pool 1", "pool 2"])
    pool.close()
    pool.join()
said("after")
""",
    )
    assert set(found) == {"before", "child", "pool 1", "pool 2", "after"}


def test_a_fork_while_other_threads_publish_their_first_events_leaves_no_child_hanging(
    kafka: EmbeddedKafka, topic: str
) -> None:
    found = publishers(
        kafka,
        topic,
        """
is_over = threading.Event()
def publish_on():
    number = 0
    while not is_over.wait(0.01):
        number += 1
        said(f"thread {threading.get_ident()} {number}")
threads = [threading.Thread(target=publish_on, daemon=True) for _ in range(3)]
for thread in threads: thread.start()
while "confluent_kafka" not in sys.modules: pass  # now a thread is importing it
def work(number):
    said(f"child {number}")
    assert publisher.flush(30) == 0
for number in range(15): child(lambda: work(number))
is_over.set()
""",
    )
    assert {f"child {number}" for number in range(15)} <= set(found)
