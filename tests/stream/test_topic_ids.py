"""Topics deleted and created anew, and records that expired before they were read: noticed, never silent."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.request

import pytest
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import NewTopic

from streamnotify.stream import engine_rows
from streamnotify.stream.fetching import FETCH_WAIT_MS
from streamnotify.stream.worker import EXIT_FAILED, EXIT_REFUSED
from tests.stream import pipeline
from tests.stream.kafka_pipeline import COMPACTED, INTERNAL, KafkaPipeline
from tests.stream.load import Supervision


def put_some(deployment: KafkaPipeline, count: int = 400) -> None:
    """Have so many numbers counted."""
    for n in range(count):
        deployment.put(f"k{n % 50}")
    deployment.flush()


def recreate(deployment: KafkaPipeline, topic: str, config: dict[str, str]) -> None:
    """Delete a topic and create it anew under its name, as fast as the broker does it."""
    deployment.admin.delete_topics([topic], operation_timeout=30)[topic].result()
    deadline = time.monotonic() + 30
    while True:
        made = deployment.admin.create_topics([NewTopic(topic, deployment.partitions, 1, config=config)])
        try:
            made[topic].result()
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def expire(deployment: KafkaPipeline, topic: str) -> dict[int, int]:
    """Delete every record of a topic, as retention does; the new log start per partition."""
    ends = [TopicPartition(topic, number, -1) for number in range(deployment.partitions)]
    return {tp.partition: future.result().low_watermark for tp, future in deployment.admin.delete_records(ends).items()}


def said_at_its_end(deployment: KafkaPipeline, worker: int) -> str:
    """Why a worker that refused to start did so."""
    code = deployment.workers[worker].wait(60)
    assert code == EXIT_REFUSED, deployment.log(worker).read_text(errors="replace")[-3000:]
    return str(re.findall("refused to start: (.*)", deployment.log(worker).read_text())[-1])


def count_some_and_stop(deployment: KafkaPipeline) -> None:
    """Let a worker count a few numbers, stopping it when it has."""
    deployment.start(1)
    put_some(deployment)
    deployment.wait_until_counted()
    assert deployment.stop(1) == 0


@pytest.mark.soak
def test_an_input_topic_created_anew_while_no_worker_ran_is_noticed(deployment: KafkaPipeline) -> None:
    """The start is refused; with a raised epoch the state stays and the new topic's records are counted."""
    count_some_and_stop(deployment)
    recreate(deployment, f"{deployment.name}-counts", INTERNAL)
    put_some(deployment)
    deployment.start(1)
    assert "STREAMNOTIFY_EPOCH" in said_at_its_end(deployment, 1)
    deployment.start(1, epoch=1)
    deployment.wait_until_counted()


def test_an_input_topic_created_anew_under_a_running_worker_is_noticed(deployment: KafkaPipeline) -> None:
    """So fast that no client sees it missing, and with as many records: the worker ends, its next start is refused."""
    deployment.start(1, look_every=1)
    put_some(deployment)
    deployment.wait_until_counted()
    deployment.workers[1].send_signal(signal.SIGSTOP)
    recreate(deployment, f"{deployment.name}-counts", INTERNAL)
    put_some(deployment)
    deployment.workers[1].send_signal(signal.SIGCONT)
    for _ in range(3):  # as its supervisor would, until it is refused
        if deployment.workers[1].wait(60) == EXIT_FAILED:
            deployment.start(1)
    assert "STREAMNOTIFY_EPOCH" in said_at_its_end(deployment, 1)
    deployment.start(1, epoch=1)
    deployment.wait_until_counted()


def test_a_changelog_created_anew_is_noticed_whether_the_state_on_disk_is_there_or_not(
    deployment: KafkaPipeline,
) -> None:
    """Refused while the disk holds the only copy; refused when nothing does, unless the epoch is raised."""
    count_some_and_stop(deployment)
    changelog = f"{deployment.name}-counter-changelog"
    recreate(deployment, changelog, COMPACTED)
    deployment.append(changelog, engine_rows.BARRIER, times=2000)  # longer than the old one was: only its id tells
    deployment.start(1)
    assert changelog in said_at_its_end(deployment, 1)
    deployment.kill(1, lose_state=True)
    deployment.start(1)
    assert "STREAMNOTIFY_EPOCH" in said_at_its_end(deployment, 1)
    deployment.start(1, epoch=1)
    deployment.wait_until_running(1)


def test_public_records_that_expired_before_they_were_read_become_a_dead_letter_and_a_metric(
    deployment: KafkaPipeline,
) -> None:
    """One dead letter per partition names the offsets, and the stream goes on."""
    topic = f"{deployment.name}.numbers"
    deployment.start(1)
    put_numbers(deployment, "before")
    deployment.wait_for(lambda: deployment.counts("summer").get("before", 0) >= 40)
    assert deployment.stop(1) == 0
    put_numbers(deployment, "lost")
    starts = expire(deployment, topic)
    port = free_port()
    deployment.start(1, health=["127.0.0.1", port])
    put_numbers(deployment, "after")
    deployment.wait_for(lambda: deployment.counts("summer").get("after", 0) >= 40)
    assert "lost" not in deployment.counts("counter")
    letters = [headers["sn-reason"] for _, headers in deployment.dead_letters()]
    assert len(letters) == deployment.partitions
    assert all(re.match(r"lost \d+\.\.\d+", reason) for reason in letters)
    assert {int(reason.split("..")[1].split(":")[0]) for reason in letters} == {start - 1 for start in starts.values()}
    assert metric(port, "streamnotify_lost_offsets_total", topic) >= 40


def test_internal_records_that_expire_before_a_running_worker_comes_to_read_them_are_noticed(
    deployment: KafkaPipeline,
) -> None:
    """It ends and its next start is refused; with a raised epoch it goes on, and dead letters say what was lost."""
    with Supervision(deployment, {1: {}}):
        deployment.wait_until_running(1)
        put_some(deployment)
        deployment.wait_until_counted()
        counted = dict(deployment.expected)
        freeze(deployment, 1)
        put_some(deployment)
        starts = expire(deployment, f"{deployment.name}-counts")
        deployment.expected.clear()
        deployment.expected.update(counted)
        put_some(deployment)
        deployment.workers[1].send_signal(signal.SIGCONT)
        why = said_at_its_end(deployment, 1)
        assert "expired" in why
        assert "STREAMNOTIFY_EPOCH" in why
        deployment.start(1, epoch=1)
        deployment.wait_until_counted()
    lost = {int(headers["__streams.errors.partition"]) for _, headers in deployment.dead_letters()}
    assert lost == {partition for partition, start in starts.items() if start}


@pytest.mark.soak
def test_public_records_that_expire_before_a_running_worker_comes_to_read_them_become_a_dead_letter(
    deployment: KafkaPipeline,
) -> None:
    """A worker held up until they were gone says which they were, and goes on."""
    with Supervision(deployment, {1: {}}):
        deployment.wait_until_running(1)
        put_numbers(deployment, "before")
        deployment.wait_for(lambda: deployment.counts("summer").get("before", 0) >= 40)
        freeze(deployment, 1)
        put_numbers(deployment, "lost")
        expire(deployment, f"{deployment.name}.numbers")
        put_numbers(deployment, "after")
        deployment.workers[1].send_signal(signal.SIGCONT)
        deployment.wait_for(lambda: deployment.counts("summer").get("after", 0) >= 40)
    assert "lost" not in deployment.counts("counter")
    letters = [headers["sn-reason"] for _, headers in deployment.dead_letters()]
    assert len(letters) == deployment.partitions
    assert all(re.match(r"lost 10\.\.19", reason) for reason in letters)


def freeze(deployment: KafkaPipeline, worker: int) -> None:
    """Hold a worker up; whoever wakes it within half the session time-out finds it alive."""
    deployment.workers[worker].send_signal(signal.SIGSTOP)
    time.sleep(2 * FETCH_WAIT_MS / 1000)  # the fetch under way must be answered before anything new is there


def put_numbers(deployment: KafkaPipeline, key: str) -> None:
    """Ten numbers on each partition of the public topic."""
    for number in range(deployment.partitions):
        for _ in range(10):
            deployment.put_bytes(pipeline.number(key), partition=number)
    deployment.flush()


def metric(port: int, name: str, topic: str) -> float:
    """A metric of the worker whose health server listens on ``port``."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(rf'^{name}{{topic="{re.escape(topic)}"}} (\S+)$', answer.read().decode(), re.MULTILINE)
    assert found, f"no {name} for {topic}"
    return float(found[1])


def free_port() -> int:
    """A port nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
