"""``streamnotify dead-letters replay``: records go back to where they came from, once, as new records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.errors import BadRecord
from streamnotify.stations.context import Station
from streamnotify.stream import dead_letters
from streamnotify.stream.dead_letter_replay import REPLAY_OF, NotReplayable, replay_of
from streamnotify.stream.dead_letters import LARGEST, Expired
from streamnotify.stream.layers import IDENTITY
from streamnotify.stream.processor import TICK
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.testing.memory import MemoryRecord
from streamnotify.wire import dead_letter
from streamnotify.wire.topics import TASK_EVENTS
from tests.cli.deployments import Deployment
from tests.cli.running import streamnotify
from tests.e2e.product import a_running_product
from tests.records import headers_of

STATION = Station("ingest", (TASK_EVENTS,), lambda command, ctx: None)
EVENT = b'{"task_name": "nightly-report", "status": "Done"}'
AN_HOUR_AGO = int((datetime.now(UTC) - timedelta(hours=1)).timestamp()) * 1000


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Deployment:
    return Deployment(kafka, unique, tmp_path)


def bury(deployment: Deployment, topic: str = "task-events", **fields: Any) -> str:
    """Have the engine's dead letter of a record of a topic on dead-letters; its ID."""
    plain: dict[str, Any] = {"offset": 0, "timestamp": AN_HOUR_AGO, "key": b"run-1", "value": EVENT}
    return bury_record(deployment, MemoryRecord(topic=f"{deployment.prefix}{topic}", **(plain | fields)))


def bury_record(deployment: Deployment, record: Any, *, attempts: int = 1) -> str:
    letter = dead_letters.emission(STATION, record, BadRecord("unknown status", "status"), attempts, b"ingest/x/0/0/")
    placed: list[Message] = []
    producer = Producer({"bootstrap.servers": deployment.servers, "message.max.bytes": 3 << 20})
    producer.produce(
        f"{deployment.prefix}dead-letters",
        letter.value,
        letter.key,
        0,
        headers=[*letter.headers],
        on_delivery=lambda error, message: placed.append(message),
    )
    assert producer.flush(30) == 0
    return f"{placed[0].partition()}-{placed[0].offset()}"


def on(deployment: Deployment, topic: str) -> list[Message]:
    with TopicReader(deployment.servers, [f"{deployment.prefix}{topic}"]) as reader:
        return list(reader.to_the_end())


def test_a_record_goes_back_with_its_bytes_its_own_headers_its_time_and_its_partition(deployment: Deployment) -> None:
    """What the engine added is gone; how often it was put back, and which dead letter it was, is said."""
    own = ((b"\xff".decode("latin-1"), b"1"), ("sn-reason", b"the publisher's own"))
    letter = bury(deployment, partition=2, headers=own)
    result = deployment("dead-letters", "replay", letter)
    assert result.exit_code == 0, result.output
    assert "1 record put back" in result.output
    (record,) = on(deployment, "task-events")
    assert (record.key(), record.value(), record.partition()) == (b"run-1", EVENT, 2)
    assert record.timestamp()[1] == AN_HOUR_AGO
    headers: Any = record.headers()
    assert headers == [*own, (dead_letter.REPLAY_COUNT, b"1"), (REPLAY_OF, letter.encode())]


def test_a_record_is_put_back_once_unless_asked_again(deployment: Deployment) -> None:
    """Even by two people: what lies on the topic is looked at, not what somebody remembers."""
    letter = bury(deployment)
    assert "1 record put back" in deployment("dead-letters", "replay", letter).output
    second = deployment("dead-letters", "replay", "--all")
    assert f"{letter}: put back before" in second.output
    assert "0 records put back" in second.output
    assert second.exit_code == 0
    assert "1 record put back" in deployment("dead-letters", "replay", "--all", "--again").output
    assert len(on(deployment, "task-events")) == 2


def test_an_emission_of_ours_is_a_new_record_to_whoever_reads_it(deployment: Deployment) -> None:
    """With its identity it would be dropped as a repetition."""
    letter = bury(deployment, "streamnotify-tasks", headers=((IDENTITY, b"ingest/x/0/0/7/0"),))
    assert deployment("dead-letters", "replay", letter).exit_code == 0
    (record,) = on(deployment, "streamnotify-tasks")
    assert set(headers_of(record)) == {REPLAY_OF, dead_letter.REPLAY_COUNT}


def test_what_cannot_be_put_back_is_said_for_each_and_the_others_go(deployment: Deployment) -> None:
    large = bury(deployment, value=b"x" * (LARGEST + 1))
    tick = bury(deployment, "streamnotify-tasks", headers=((TICK, b""),))
    tired = bury(deployment, headers=((dead_letter.REPLAY_COUNT, b"3"),))
    source: Any = type("Source", (), {"topic": f"{deployment.prefix}task-events", "partition": 0})
    gone = bury_record(deployment, Expired(source, 5), attempts=0)
    good = bury(deployment)
    result = deployment("dead-letters", "replay", "--all")
    assert result.exit_code == 1
    assert f"{large}: not put back: it was too large" in result.output
    assert f"{tick}: not put back: it is a tick" in result.output
    assert f"{tired}: not put back: it was put back 3 times" in result.output
    assert f"{gone}: not put back: it stands for records that expired" in result.output
    assert "1 record put back" in result.output
    assert [headers_of(record)[REPLAY_OF] for record in on(deployment, "task-events")] == [good]
    forced = deployment("dead-letters", "replay", tired, "--force")
    assert "1 record put back" in forced.output


@pytest.mark.parametrize(
    "header",
    [
        {dead_letter.PARTITION: None},
        {dead_letter.PARTITION: "one"},
        {dead_letter.FAILED_AT: None},
        {dead_letter.FAILED_AT: "yesterday"},
        {dead_letter.REPLAY_COUNT: "often"},
    ],
    ids=str,
)
def test_what_somebody_else_made_is_no_dead_letter(header: dict[str, str | None]) -> None:
    """Anybody may write there what he wants."""
    said: dict[str, str | None] = {
        dead_letter.TOPIC: "task-events",
        dead_letter.PARTITION: "0",
        dead_letter.OFFSET: "7",
        dead_letter.FAILED_AT: "2026-01-05T01:00:00+00:00",
    }
    headers = [(name, value.encode()) for name, value in (said | header).items() if value is not None]
    message: Any = SimpleNamespace(
        headers=lambda: headers, key=lambda: None, value=lambda: EVENT, partition=lambda: 0, offset=lambda: 3
    )
    with pytest.raises(NotReplayable, match="its headers are none of ours"):
        replay_of(message)


def test_nothing_goes_to_a_topic_that_no_worker_reads(deployment: Deployment) -> None:
    """A dead letter that was made up must not write where its author cannot."""
    wrong = [bury(deployment, topic) for topic in ("dead-letters", "no-such-topic", "\x1b[2Jtasks")]
    good = bury(deployment)
    result = deployment("dead-letters", "replay", "--all", "--force")
    assert result.exit_code == 1
    for letter in wrong:
        assert f"{letter}: not put back: no worker of this deployment reads" in result.output
    assert "\x1b" not in result.output
    assert [headers_of(record)[REPLAY_OF] for record in on(deployment, "task-events")] == [good]
    assert len(on(deployment, "dead-letters")) == 4


def test_an_old_version_does_not_replace_a_newer_one(deployment: Deployment) -> None:
    """Where the latest record of a key counts, putting back is publishing the old one anew."""
    now = int(datetime.now(UTC).timestamp() * 1000) - 60_000
    deployment.publish("users", ("u1", {"email": "broken"}), ("u1", {"email": "ann@example.com"}))
    partition = next(record.partition() for record in on(deployment, "users"))
    letter = bury(deployment, "users", partition=partition, key=b"u1", value=b'{"email": "broken"}', timestamp=now)
    result = deployment("dead-letters", "replay", letter)
    assert result.exit_code == 1
    assert f"{letter}: not put back: a later record of its key" in result.output
    assert len(on(deployment, "users")) == 2
    assert deployment("dead-letters", "replay", letter, "--force").exit_code == 0
    assert len(on(deployment, "users")) == 3


def test_options_choose_and_a_dry_run_changes_nothing(deployment: Deployment) -> None:
    letter = bury(deployment)
    result = deployment("dead-letters", "replay", "--all", "--reason", "UNKNOWN st", "--class", "poison", "--dry-run")
    assert f"{letter} would go back to {deployment.prefix}task-events-0" in result.output
    assert "1 record would be put back" in result.output
    for other in (["--reason", "disk"], ["--stage", "tasks"], ["--class", "exhausted"], ["--topic", "users"]):
        assert "0 records" in deployment("dead-letters", "replay", "--all", *other).output
    assert "1 record" in deployment("dead-letters", "replay", "--all", "--since", "1m", "--dry-run").output
    assert on(deployment, "task-events") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either IDs or --all is needed"),
        (["0-1", "--all"], "either IDs or --all is needed"),
        (["0-1", "--stage", "ingest"], "go with --all"),
    ],
)
def test_what_is_meant_must_be_clear(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = streamnotify("dead-letters", "replay", *arguments, directory=tmp_path)
    assert result.exit_code == 2
    assert said in result.output


def test_an_id_that_is_none_is_said(deployment: Deployment) -> None:
    result = deployment("dead-letters", "replay", "3-17")
    assert result.exit_code == 1
    assert "3-17: not put back: there is no such dead letter" in result.output


def test_a_record_that_fails_again_is_a_new_dead_letter_that_counts(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """With the whole product."""
    with a_running_product(kafka, tmp_path, free_port()) as product:

        def letters() -> list[dict[str, str]]:
            return sorted((headers for _, headers in product.dead_letters()), key=itemgetter(dead_letter.REPLAY_COUNT))

        product.publish(EVENT)
        product.wait_for(lambda: len(letters()) == 1)
        given = {name: value for name, value in product.env.items() if name.startswith(("KAFKA_", "STREAMNOTIFY_"))}
        result = streamnotify("dead-letters", "replay", "--all", directory=tmp_path, **given)
        assert result.exit_code == 0, result.output
        product.wait_for(lambda: len(letters()) == 2)
        assert [letter[dead_letter.REPLAY_COUNT] for letter in letters()] == ["0", "1"]
        assert letters()[0][dead_letter.REASON] == letters()[1][dead_letter.REASON]
