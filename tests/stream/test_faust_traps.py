"""Faust's traps on a real broker (research/faust.md part A, rules 17 and 32): plain Faust falls into them, we do not.

The traps of its commits are in test_faust_commits.py. A test of plain Faust that fails after an update shows that a
trap is gone: then look whether our own code around it is still needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import faust
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.listening import listening_ports

NUMBERS = [1, 2, 3, 4, "not JSON", 6]
ABORTED = 5


class PlainFaust:
    """A running plain Faust app and the topics it reads."""

    def __init__(self, deployment: KafkaPipeline) -> None:
        self._deployment = deployment
        self.output = deployment.directory / "plain.out"
        topics = {"numbers": "plain-numbers", "rows": "plain-rows"}
        self.names = {key: f"{deployment.name}-{topic}" for key, topic in topics.items()}
        self.changelog = f"{deployment.name}-plain-rows-changelog"
        made = deployment.admin.create_topics(
            [NewTopic(name, 1, 1) for name in self.names.values()]
            + [NewTopic(self.changelog, 1, 1, config={"cleanup.policy": "compact", "max.message.bytes": "1000"})]
        )
        for future in made.values():
            future.result()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it."""
        told = {
            "app_id": f"{self._deployment.name}-plain",
            "bootstrap_servers": self._deployment.bootstrap_servers,
            "data_dir": str(self._deployment.directory / "plain"),
            **self.names,
        }
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.stream.plain_faust", json.dumps(told)],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[2],
                env=dict(os.environ),
            )

    def committed(self, topic: str) -> int:
        """What it has committed on the only partition of a topic."""
        return committed(self._deployment, f"{self._deployment.name}-plain", self.names[topic])[0]

    def handled(self, what: str) -> list[str]:
        """What it printed after this word."""
        lines = self.output.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{what} ")]


def committed(deployment: KafkaPipeline, group: str, topic: str, partitions: int = 1) -> list[int]:
    """A group's committed offsets; 0 where there is none."""
    consumer = Consumer({"bootstrap.servers": deployment.bootstrap_servers, "group.id": group})
    try:
        offsets = consumer.committed([TopicPartition(topic, n) for n in range(partitions)], timeout=10)
        return [max(tp.offset, 0) for tp in offsets]
    finally:
        consumer.close()


def publish(deployment: KafkaPipeline, topic: str, *values: bytes | None, aborted: bool = False) -> None:
    """Publish values to partition 0, perhaps in a transaction that is then aborted."""
    config = {"bootstrap.servers": deployment.bootstrap_servers}
    producer = Producer({**config, "transactional.id": f"{topic}-publisher"} if aborted else config)
    if aborted:
        producer.init_transactions(10)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(10) == 0
    if aborted:
        producer.abort_transaction(10)


def numbers_as_bytes(numbers: list[object]) -> list[bytes]:
    """JSON, but for the text."""
    return [number.encode() if isinstance(number, str) else json.dumps(number).encode() for number in numbers]


@pytest.fixture(scope="module")
def deployment(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaPipeline]:
    """Topics and a directory; one partition."""
    directory = tmp_path_factory.mktemp("traps")
    made = KafkaPipeline(kafka.bootstrap_servers, f"traps{directory.stat().st_ino}", directory, partitions=1)
    made.create_topics()
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain(deployment: KafkaPipeline) -> Iterator[PlainFaust]:
    """A plain Faust app that has read everything of its topics and committed it."""
    app = PlainFaust(deployment)
    publish(deployment, app.names["numbers"], b"1")
    publish(deployment, app.names["numbers"], json.dumps(ABORTED).encode(), aborted=True)
    publish(deployment, app.names["numbers"], *numbers_as_bytes([*NUMBERS[1:]]))
    publish(deployment, app.names["rows"], b"10", b"2000", b"20")
    process = app.start()
    try:
        # Offsets: 1, aborted, transaction marker, 2, 3, 4, "not JSON", 6. The last is not always committed (rule 1).
        deployment.wait_for(lambda: app.committed("numbers") >= 7 and app.committed("rows") == 3)
        deployment.wait_for(lambda: "6" in app.handled("handled"))
        yield app
    finally:
        process.kill()
        process.wait()


def test_plain_faust_loses_an_event_whose_agent_fails(plain: PlainFaust) -> None:
    """Rule 7: it is acked all the same, and committed."""
    assert "3" not in plain.handled("handled")
    assert {"1", "2", "4", "6"} <= set(plain.handled("handled"))


def test_plain_faust_skips_an_event_it_cannot_decode(plain: PlainFaust) -> None:
    """Rule 7: "not JSON" lay before 6, which was handled and committed."""
    assert plain.handled("handled")[-1] == "6"
    assert not [handled for handled in plain.handled("handled") if "JSON" in handled]


def test_plain_faust_delivers_records_of_aborted_transactions(plain: PlainFaust) -> None:
    """Rule 3."""
    assert str(ABORTED) in plain.handled("handled")


def test_plain_faust_commits_events_whose_changelog_was_refused(plain: PlainFaust, deployment: KafkaPipeline) -> None:
    """Rule 17: a failed send is only logged; the row is not in the changelog and would be missing after a restore."""
    kept = [message.key() for message in deployment.records(plain.changelog)]
    assert plain.handled("kept") == ["10", "2000", "20"]
    assert b'"row of 2000"' not in kept
    assert plain.committed("rows") == 3


def test_plain_faust_opens_a_web_server_to_everybody() -> None:
    """Rule 32: enabled, on all addresses, with every table in it."""
    settings = faust.App("plain").conf
    assert (settings.web_enabled, settings.web_bind, settings.web_tables_enabled) == (True, "0.0.0.0", True)


def test_we_account_for_every_number_of_every_kind(deployment: KafkaPipeline) -> None:
    """Handled or dead-lettered, committed to the end; nothing of what was aborted; no open port but health."""
    topic = f"{deployment.name}.numbers"
    publish(deployment, topic, b'{"key": "first"}')
    publish(deployment, topic, b'{"key": "aborted"}', aborted=True)
    publish(deployment, topic, b'{"key": "bug", "poison": "bug"}', b"not JSON", b'{"key": "last"}')
    worker = deployment.start(1, health=["127.0.0.1", 0])
    deployment.wait_for(lambda: committed(deployment, deployment.name, topic) == [6])
    deployment.wait_for(lambda: deployment.counts("summer") == {"first": 1, "last": 1})
    letters = {headers["sn-stage"]: headers["sn-reason"] for _, headers in deployment.dead_letters()}
    assert set(letters) == {"splitter", "counter"}
    assert letters["counter"] == "this record always fails"
    assert [address for address, _ in listening_ports(worker.pid)] == ["127.0.0.1"]
    assert deployment.stop(1) == 0


def test_a_changelog_that_refuses_a_batch_ends_the_process_and_nothing_is_committed(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    """Rule 17; when the topic is mended, everything is counted once (DESIGN 3.4, 3.12)."""
    made = KafkaPipeline(kafka.bootstrap_servers, f"traps{unique}", tmp_path, partitions=1)
    made.create_topics(max_message_bytes="1000")
    try:
        made.put("small")
        made.put("large", size=5000)
        made.put("another")
        made.flush()
        assert made.start(1).wait(60) == 70
        assert committed(made, made.name, f"{made.name}-counts") == [0]
        assert made.counts("counter") == {}
        changelog = ConfigResource(
            ResourceType.TOPIC,
            f"{made.name}-counter-changelog",
            incremental_configs=[
                ConfigEntry("max.message.bytes", "3000000", incremental_operation=AlterConfigOpType.SET)
            ],
        )
        for future in made.admin.incremental_alter_configs([changelog]).values():
            future.result()
        made.start(1)
        made.wait_for(lambda: sum(made.counts("counter").values()) == 3)  # what it emitted was counted before
        made.wait_until_counted()
    finally:
        made.close()
