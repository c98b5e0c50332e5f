"""The frontier on a real broker: what waits for it comes when everything that was there has been taken in, not before.

A check is a wake that waits for the frontier; when it comes it says which numbers of its key it knows of.
"""

from __future__ import annotations

import collections
import random
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import NewPartitions

from streamnotify.devtools.kafka.broker import free_port
from tests.conftest import OwnKafka
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision

PROMPT = 5.0  # seconds after its time by which a check must have come when nothing is left to be taken in


def checks(deployment: KafkaPipeline) -> dict[str, Any]:
    """What was said at each check, by key; each is made once."""
    said = [record for record in deployment.out() if "checked" in record]
    assert max(collections.Counter(each["checked"] for each in said).values(), default=0) <= 1
    return {each["checked"]: each for each in said}


def woken(deployment: KafkaPipeline) -> set[str]:
    """The keys that woke: of wakes that do not wait for the frontier."""
    return {record["woke"] for record in deployment.out() if "woke" in record}


def numbers_of_each(deployment: KafkaPipeline) -> dict[str, list[tuple[int, float]]]:
    """By key the numbers on ``numbers``, each with the instant from which on it lay there."""
    found = collections.defaultdict(list)
    for message in deployment.records(f"{deployment.name}.numbers"):
        number = msgspec.json.decode(message.value() or b"{}")
        if "remember" in number:
            found[number["key"]].append((number["remember"], message.timestamp()[1] / 1000))
    return found


def assert_none_came_early(deployment: KafkaPipeline, *keys: str) -> None:
    """Each check knew of everything that had been there at its time."""
    said, numbers = checks(deployment), numbers_of_each(deployment)
    assert said.keys() >= set(keys)
    for key in keys:
        assert said[key]["now"] >= said[key]["reached"] >= said[key]["at"]
        present = {number for number, since in numbers[key] if since <= said[key]["at"]}
        assert present - set(said[key]["remembered"]) == set()


def wait_for_checks(deployment: KafkaPipeline, *keys: str, seconds: float = 60) -> dict[str, Any]:
    """Wait until they have come."""
    deployment.wait_for(lambda: set(keys) <= checks(deployment).keys(), seconds, pause=0.2)
    return checks(deployment)


def assert_held(deployment: KafkaPipeline, key: str, seconds: float) -> None:
    """So long nothing comes that waits for the frontier, while what waits for the broker's time comes."""
    marker = f"marker after {seconds} for {key}"
    deployment.put(marker, wake_in=seconds)
    deployment.flush()
    deployment.wait_for(lambda: marker in woken(deployment), 30)
    assert key not in checks(deployment)


def transaction(deployment: KafkaPipeline, name: str) -> Producer:
    """A publisher with a transaction begun."""
    publisher = Producer(
        {
            "bootstrap.servers": deployment.bootstrap_servers,
            "transactional.id": f"{deployment.name}-{name}",
            "transaction.timeout.ms": 60_000,
        }
    )
    publisher.init_transactions(30)
    publisher.begin_transaction()
    return publisher


def publish(deployment: KafkaPipeline, publisher: Producer, key: str, remember: int, partition: int) -> None:
    """Publish a number within a transaction."""
    value = msgspec.json.encode({"key": key, "remember": remember})
    publisher.produce(f"{deployment.name}.numbers", value, partition=partition)
    assert publisher.flush(30) == 0


@pytest.fixture
def running(deployment: KafkaPipeline) -> KafkaPipeline:
    """The test pipeline with one worker."""
    deployment.start(1)
    deployment.wait_until_running(1)
    return deployment


def test_a_check_comes_promptly_on_a_topic_on_which_nothing_was_ever_published(running: KafkaPipeline) -> None:
    running.put("a", check_in=0.5)
    running.flush()
    said = wait_for_checks(running, "a")["a"]
    assert said["now"] - said["at"] < PROMPT


def test_markers_of_transactions_do_not_hold_it(running: KafkaPipeline) -> None:
    """Behind the last record lies a marker that is never delivered; of an aborted one nothing is."""
    committed, aborted = transaction(running, "committed"), transaction(running, "aborted")
    publish(running, committed, "a", 1, 0)
    publish(running, aborted, "a", 2, 1)
    committed.commit_transaction(30)
    aborted.abort_transaction(30)
    running.put("a", check_in=0.5)
    running.flush()
    said = wait_for_checks(running, "a")["a"]
    assert said["remembered"] == [1]
    assert said["now"] - said["at"] < PROMPT


def test_logs_that_were_emptied_do_not_hold_it(deployment: KafkaPipeline) -> None:
    """One before the group had committed anything, and one that it had read."""
    topic = f"{deployment.name}.numbers"
    for n in range(20):
        deployment.publish("gone", remember=n, partition=n % 2)
    deployment.flush()
    delete = {"timeout": 30}
    deployment.admin.delete_records([TopicPartition(topic, 0, 10)])[TopicPartition(topic, 0, 10)].result(**delete)
    deployment.start(1)
    deployment.wait_until_running(1)
    deployment.put("a", check_in=0.5)
    deployment.flush()
    wait_for_checks(deployment, "a")
    deployment.admin.delete_records([TopicPartition(topic, 1, 10)])[TopicPartition(topic, 1, 10)].result(**delete)
    deployment.put("b", check_in=0.5)
    deployment.flush()
    said = wait_for_checks(deployment, "b")["b"]
    assert said["now"] - said["at"] < PROMPT


def test_an_open_transaction_holds_it_and_nothing_else(running: KafkaPipeline) -> None:
    """Records of others lie behind it, unreadable until it ends: without them a check would be false."""
    opened = transaction(running, "open")
    publish(running, opened, "other", 1, 2)
    running.publish("a", remember=7, partition=2)
    running.flush()
    running.put("a", check_in=0.5)
    assert_held(running, "a", 6)
    opened.commit_transaction(30)
    assert wait_for_checks(running, "a")["a"]["remembered"] == [7]


def test_one_partition_that_lags_holds_it(running: KafkaPipeline) -> None:
    """Everything but the last number has been taken in long before."""
    for n in range(100):
        running.publish("a", remember=n, slow=0.08, partition=3)
    running.publish("a", remember=100, partition=0)
    running.flush()
    running.put("a", check_in=0.1)
    assert_held(running, "a", 4)
    assert len(wait_for_checks(running, "a")["a"]["remembered"]) == 101
    assert_none_came_early(running, "a")


def test_partitions_that_are_added_are_noticed(running: KafkaPipeline) -> None:
    """A number on one that the worker does not read yet holds what must not come without it."""
    running.put("before", check_in=0.1)
    running.flush()
    wait_for_checks(running, "before")
    grown = running.admin.create_partitions([NewPartitions(f"{running.name}.numbers", running.partitions + 1)])
    for future in grown.values():
        future.result()
    running.wait_for(lambda: f"{running.name}.numbers" in partitions_of(running, running.partitions + 1))
    publisher = Producer({"bootstrap.servers": running.bootstrap_servers})
    value = msgspec.json.encode({"key": "a", "remember": 1})
    publisher.produce(f"{running.name}.numbers", value, partition=running.partitions)
    assert publisher.flush(30) == 0
    running.put("a", check_in=0.1)
    assert_held(running, "a", 5)


def partitions_of(deployment: KafkaPipeline, count: int) -> set[str]:
    """The topics with so many partitions."""
    topics = deployment.admin.list_topics(timeout=10).topics
    return {name for name, topic in topics.items() if len(topic.partitions) == count}


def test_no_check_is_early_with_two_workers_one_of_which_is_killed(deployment: KafkaPipeline) -> None:
    """Numbers arrive all the time, on every partition; checks fall due before, while and after a worker is away."""
    rng = random.Random(5)
    keys = [f"k{n}" for n in range(40)]
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    for key in keys:
        deployment.put(key, check_in=rng.uniform(0.5, 12))
    began, n, killed = time.monotonic(), 0, False
    while time.monotonic() - began < 13:
        for _ in range(10):
            deployment.publish(rng.choice(keys), remember=n, partition=n % deployment.partitions)
            n += 1
        deployment.flush()
        if not killed and time.monotonic() - began > 4:
            deployment.kill(1)
            deployment.start(1)
            killed = True
        time.sleep(0.05)
    wait_for_checks(deployment, *keys)
    assert_none_came_early(deployment, *keys)


def metrics(port: int) -> dict[str, float]:
    """A worker's metrics without labels."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except (urllib.error.URLError, ConnectionError):
        return {}
    samples = [line.split() for line in lines if line.startswith("streamnotify_") and "{" not in line]
    return {name: float(value) for name, value in samples}


@pytest.fixture
def on_own_broker(own_kafka: OwnKafka, tmp_path: Path) -> Iterator[tuple[Any, KafkaPipeline]]:
    """The test pipeline on a broker of its own."""
    broker = own_kafka()
    broker.start()
    made = KafkaPipeline(broker.bootstrap_servers, "frontier", tmp_path)
    made.create_topics()
    yield broker, made
    made.close()


def test_a_broker_that_is_away_holds_it_and_it_goes_on_afterwards(on_own_broker: tuple[Any, KafkaPipeline]) -> None:
    """Frozen, then killed: its age grows, no check comes early, and each comes in the end."""
    broker, deployment = on_own_broker
    port = free_port()
    with Supervision(deployment, {1: {"health": ["127.0.0.1", port]}}):
        deployment.wait_until_running(1)
        deployment.wait_for(lambda: 0 < metrics(port).get("streamnotify_frontier_age_seconds", 0) < PROMPT)
        for name in ("frozen", "killed"):
            for n in range(50):
                deployment.publish(name, remember=n, slow=0.02, partition=n % deployment.partitions)
            deployment.put(name, check_in=2)
            deployment.flush()
            broker.pause() if name == "frozen" else broker.kill()
            deployment.wait_for(lambda: metrics(port).get("streamnotify_frontier_age_seconds", 6) > 5.5)
            broker.resume() if name == "frozen" else broker.start()
            wait_for_checks(deployment, name)
            deployment.wait_for(lambda: 0 < metrics(port).get("streamnotify_frontier_age_seconds", 0) < PROMPT)
    assert_none_came_early(deployment, "frozen", "killed")
