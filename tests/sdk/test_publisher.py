"""Events reach Kafka from any process, and no task is failed or delayed by it (celery-sdk K1-K7)."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.sdk import Publisher, PublisherConfig, Status, TaskEvent
from streamnotify.sdk.counters import Counters, LossLog
from streamnotify.sdk.kafka_client import QuietLog
from tests.sdk import topics

RUNNING = TaskEvent(task_name="report", status=Status.RUNNING, task_id="7")
ENDED = TaskEvent(task_name="report", status=Status.COMPLETED, task_id="7")


@pytest.fixture
def topic(kafka: EmbeddedKafka, unique: str) -> str:
    return topics.create(kafka.bootstrap_servers, f"{unique}.task-events")


@pytest.fixture
def publisher(kafka: EmbeddedKafka, topic: str) -> Iterator[Publisher]:
    with closing(topics.publisher(kafka.bootstrap_servers, topic, source="tests")) as made:
        yield made


@pytest.fixture
def down() -> Iterator[Publisher]:
    """A publisher whose broker is down."""
    with closing(topics.publisher(topics.NOWHERE, "task-events", flush_s=0.1)) as made:
        yield made


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "streamnotify.sdk"]


def test_an_event_arrives_with_what_the_publisher_knows(kafka: EmbeddedKafka, topic: str, publisher: Publisher) -> None:
    before = datetime.now(UTC)
    publisher.role = "child"
    assert publisher.publish(RUNNING)
    assert publisher.publish(ENDED)
    assert publisher.flush(30) == 0
    first, second = topics.events(kafka.bootstrap_servers, topic)
    assert (first["task_name"], first["status"], first["source"]) == ("report", "Running", "tests")
    assert uuid.UUID(first["event_id"]) != uuid.UUID(second["event_id"])
    occurred_at = datetime.fromisoformat(first["occurred_at"])
    assert abs((occurred_at - before).total_seconds()) < 30
    assert occurred_at.microsecond % 1000 == 0
    assert (first["producer"]["sdk"], first["producer"]["role"]) == ("streamnotify-python", "child")
    assert (first["producer"]["seq"], second["producer"]["seq"]) == (1, 2)
    assert publisher.counters == Counters(queued=2, delivered=2)


def test_what_the_caller_says_stays(kafka: EmbeddedKafka, topic: str, publisher: Publisher) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    publisher.publish(TaskEvent(task_name="a", status=Status.PENDING, event_id="mine", occurred_at=at, source="other"))
    publisher.flush(30)
    (event,) = topics.events(kafka.bootstrap_servers, topic)
    assert (event["event_id"], event["occurred_at"], event["source"]) == ("mine", "2026-01-02T03:04:05Z", "other")


def test_a_run_stays_in_the_partition_where_kafkas_own_producers_put_its_key(
    kafka: EmbeddedKafka, topic: str, publisher: Publisher
) -> None:
    for number in range(20):
        publisher.publish(TaskEvent(task_name="a", status=Status.RUNNING, task_id=f"run-{number}"))
    publisher.publish(TaskEvent(task_name="without id", status=Status.RUNNING))
    assert publisher.flush(30) == 0
    keyed = [record for record in topics.records(kafka.bootstrap_servers, topic) if record.key() is not None]
    assert len(keyed) == 20
    for record in keyed:
        key: Any = record.key()
        assert record.partition() == (murmur2(key) & 0x7FFFFFFF) % topics.PARTITIONS


def test_without_servers_nothing_happens_but_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    publisher = Publisher(PublisherConfig())
    with caplog.at_level(logging.INFO):
        assert not publisher.publish(ENDED)
        assert not publisher.publish(ENDED)
    assert levels(caplog) == ["INFO"]
    assert "KAFKA_BOOTSTRAP_SERVERS" in caplog.text
    assert (publisher.flush(), publisher.wait(1), publisher.counters) == (0, 0, Counters())


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL"),
        ({"KAFKA_SSL_CAFILE": "/nowhere/ca.pem"}, "KAFKA_SSL_CAFILE"),
    ],
)
def test_with_a_wrong_setting_nothing_happens_but_one_error_in_the_log(
    environment: dict[str, str], said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", topics.NOWHERE)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    publisher = Publisher()
    assert not publisher.publish(ENDED)
    assert not publisher.publish(ENDED)
    assert levels(caplog) == ["ERROR"]
    assert said in caplog.text


def test_what_only_librdkafka_refuses_is_said_too(caplog: pytest.LogCaptureFixture) -> None:
    publisher = topics.publisher(topics.NOWHERE, "task-events", compression="zip")
    assert not publisher.publish(ENDED)
    assert not publisher.publish(ENDED)
    assert levels(caplog) == ["ERROR"]
    assert 'Invalid value "zip"' in caplog.text


def test_without_confluent_kafka_the_log_says_what_to_install() -> None:
    said, complained = topics.output(
        "sys.modules['confluent_kafka'] = None\n"
        "print([publish(TaskEvent(task_name='a', status=Status.RUNNING)) for _ in range(2)])",
        KAFKA_BOOTSTRAP_SERVERS=topics.NOWHERE,
    )
    assert said.strip() == "[False, False]"
    assert complained.count("pip install 'streamnotify[sdk]'") == 1


def test_importing_the_sdk_loads_neither_pydantic_nor_a_kafka_client() -> None:
    said, _ = topics.output(
        "print([name for name in sys.modules if name.split('.')[0] in {'pydantic', 'confluent_kafka'}])"
    )
    assert said.strip() == "[]"


def test_with_the_broker_down_tasks_go_on_and_what_is_lost_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    publisher = topics.publisher(topics.NOWHERE, "task-events", flush_s=1)
    taken = [publisher.publish(ENDED) for _ in range(20_000)]
    assert taken.count(True) == 10_000
    assert (publisher.counters.queued, publisher.counters.dropped_full) == (10_000, 10_000)
    deadline = time.monotonic() + 30
    while not caplog.records and time.monotonic() < deadline:
        time.sleep(0.01)
    began = time.monotonic()
    publisher.close()
    assert time.monotonic() - began < 3
    warnings = [record for record in caplog.records if "did not take" in record.message]
    assert len(warnings) == 2  # the first loss, and the end
    # Never in the middle of a task: logging swallows whatever a signal handler raises meanwhile, such as a time limit.
    assert warnings[0].threadName == "streamnotify-publisher"
    assert "dropped_full=10000 timed_out=10000" in warnings[-1].message


def test_a_process_ends_within_its_budget_with_the_broker_down() -> None:
    said, complained = topics.output(
        "publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], flush_s=0.5))\n"
        "for _ in range(20_000): publisher.publish(TaskEvent(task_name='a', status=Status.RUNNING))\n"
        "print(time.time())",
        topics.NOWHERE,
    )
    assert time.time() - float(said) < 10  # and not the 30 s after which an event is given up
    assert complained.count("Connect to") == 1  # of librdkafka's lines, of which there are dozens


def test_the_number_of_bytes_that_may_wait_is_bounded_too() -> None:
    small = topics.publisher(topics.NOWHERE, "task-events", queue_bytes=100_000, flush_s=0.1)
    with closing(small):
        large = TaskEvent(task_name="a", status=Status.RUNNING, output_tail="x" * 9000)
        assert 5 < [small.publish(large) for _ in range(100)].count(True) < 15


def test_waiting_gives_nothing_up_and_flushing_does(down: Publisher) -> None:
    down.publish(ENDED)
    assert down.wait(0.05) == 1
    assert down.counters == Counters(queued=1)
    assert down.flush(0.05) == 1
    assert down.counters == Counters(queued=1, timed_out=1)


def test_a_closed_publisher_starts_anew_with_the_next_event(
    kafka: EmbeddedKafka, topic: str, publisher: Publisher
) -> None:
    publisher.publish(RUNNING)
    publisher.close()
    publisher.publish(ENDED)
    publisher.close()
    assert len(topics.events(kafka.bootstrap_servers, topic)) == 2


def test_what_is_no_event_is_counted_and_said_once(publisher: Publisher, caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = "report is done"
    assert not publisher.publish(nothing)
    assert not publisher.publish(nothing)
    assert publisher.counters.invalid == 2
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


def test_what_is_too_large_for_the_topic_is_counted_and_never_spooled(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    topic = topics.create(kafka.bootstrap_servers, f"{unique}.small", **{"max.message.bytes": "2000"})
    with closing(topics.publisher(kafka.bootstrap_servers, topic, spool_dir=tmp_path)) as publisher:
        publisher.publish(TaskEvent(task_name="a", status=Status.STOPPED, output_tail="x" * 9000))
        assert publisher.flush(30) == 1
        assert publisher.counters == Counters(queued=1, oversize=1)
    assert list(tmp_path.iterdir()) == []


def test_events_of_several_threads_all_arrive(kafka: EmbeddedKafka, topic: str) -> None:
    said, _ = topics.output(
        "import threading\n"
        "publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], topic=sys.argv[2]))\n"
        "barrier = threading.Barrier(8)\n"
        "def work():\n"
        "    barrier.wait()\n"
        "    for _ in range(100): publisher.publish(TaskEvent(task_name='a', status=Status.RUNNING))\n"
        "threads = [threading.Thread(target=work) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(publisher.flush(30), publisher.counters.delivered, len([t for t in threading.enumerate()]))",
        kafka.bootstrap_servers,
        topic,
    )
    assert said.split() == ["0", "800", "2"]  # threads: the main one and the publisher's
    found = topics.events(kafka.bootstrap_servers, topic)
    assert sorted(event["producer"]["seq"] for event in found) == list(range(1, 801))


def test_a_task_is_still_ended_by_a_signal_handler_that_raises() -> None:
    said, _ = topics.output(
        "import signal\n"
        "class TimeLimit(Exception): pass\n"
        "def stop(*_): raise TimeLimit\n"
        "signal.signal(signal.SIGALRM, stop)\n"
        "publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], flush_s=0.1))\n"
        "publisher.publish(TaskEvent(task_name='a', status=Status.RUNNING))\n"
        "def work():\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    while True: publisher.publish(TaskEvent(task_name='a', status=Status.RUNNING))\n"
        "for _ in range(20):\n"
        "    try: work()\n"
        "    except TimeLimit: pass\n"
        "print('ended')",
        topics.NOWHERE,
    )
    assert said.strip() == "ended"


def test_under_gevent_waiting_lets_other_greenlets_run() -> None:
    pytest.importorskip("gevent")
    said, _ = topics.output(
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent\n"
        "publisher = Publisher(PublisherConfig(bootstrap_servers=sys.argv[1], flush_s=0.1))\n"
        "turns = []\n"
        "def other():\n"
        "    while True: turns.append(gevent.sleep(0.01))\n"
        "gevent.spawn(other)\n"
        "event = TaskEvent(task_name='a', status=Status.RUNNING)\n"
        "gevent.joinall([gevent.spawn(publisher.publish, event) for _ in range(100)])\n"
        "turns.clear()\n"
        "print(publisher.wait(1), len(turns))",
        topics.NOWHERE,
    )
    waiting, turns = map(int, said.split())
    assert waiting == 100
    assert turns > 10


def test_losses_are_said_at_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [1000.0]
    counters = Counters(queued=5)
    log = LossLog(counters, lambda: now[0])
    log.report()
    for seconds in (0, 30, 29, 1):
        counters.timed_out += 1
        now[0] += seconds
        log.report()
    assert [record.args for record in caplog.records] == [
        (1, "queued=5 timed_out=1"),
        (4, "queued=5 timed_out=4"),
    ]


def test_librdkafkas_own_lines_are_warnings_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = QuietLog(lambda: now[0])
    for _ in range(10):
        log.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka", "Connection refused")
        now[0] += 10
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "FAIL [rdkafka] Connection refused"),
        ("WARNING", "FAIL [rdkafka] Connection refused (5 such lines left out before)"),
    ]
