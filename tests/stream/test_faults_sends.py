"""A send to a changelog or an internal topic fails, expires, loses its answer, or lands late."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision, put_for
from tests.stream.proxy import Fault, Proxy

INVALID_PRODUCER_EPOCH = 47  # Kafka's error code
EVERY = 1_000_000  # times
TOPICS = ("counter-changelog", "sums")


@pytest.fixture
def proxy(deployment: KafkaPipeline) -> Iterator[Proxy]:
    """Between a worker told of its port and the shared broker."""
    with Proxy(int(deployment.bootstrap_servers.rsplit(":", 1)[1])) as made:
        yield made


def wait_until_failed(deployment: KafkaPipeline, workers: Supervision, times: int) -> None:
    """Wait until the worker has ended itself so often."""
    deployment.wait_for(lambda: workers.failures[1] >= times, pause=0.1)


def test_a_send_whose_answer_is_lost_is_repeated_and_takes_effect_once(
    deployment: KafkaPipeline, proxy: Proxy
) -> None:
    """The broker knows the repetition by its sequence number: the worker goes on, and nothing lies there twice."""
    rng = random.Random(13)
    deployment.start(1, proxy=proxy.port)
    deployment.wait_until_running(1)
    for lost, topic in enumerate(2 * TOPICS, start=1):
        put_for(deployment, 0.5, rng)
        proxy.break_sends(f"{deployment.name}-{topic}", Fault.NO_ANSWER)
        put_for(deployment, 0.5, rng)
        deployment.wait_for(lambda lost=lost: proxy.faulted >= lost, pause=0.1)
    deployment.flush()
    deployment.wait_until_counted()
    assert deployment.workers[1].poll() is None
    assert changelog.regressions(deployment, "counter") == []
    identities = [dict(record.headers())["sn-from"] for record in deployment.records(f"{deployment.name}-sums")]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(
    ("expires", "late"),
    [("sums", "counter-changelog"), pytest.param("counter-changelog", "sums", marks=pytest.mark.soak)],
)
def test_after_a_send_that_was_never_acked_the_worker_ends_and_what_lands_late_is_refused(
    deployment: KafkaPipeline, proxy: Proxy, expires: str, late: str
) -> None:
    """Expired once, kept back by the network once: no offset was committed for it, and nothing comes twice."""
    rng = random.Random(14)
    late = f"{deployment.name}-{late}"
    with Supervision(deployment, {1: {"proxy": proxy.port, "send_timeout_ms": 1500}}) as workers:
        deployment.wait_until_running(1)
        for times, (topic, fault) in enumerate(((f"{deployment.name}-{expires}", Fault.NOT_SENT), (late, Fault.LATE)), 1):
            put_for(deployment, 1, rng)
            proxy.break_sends(topic, fault, times=EVERY)
            put_for(deployment, 1, rng)
            wait_until_failed(deployment, workers, times)
            proxy.break_sends(topic, fault, times=0)
        deployment.flush()
        deployment.wait_until_counted()
        answers = proxy.deliver_late()
        assert {code for answer in answers for (to, _), code in answer.items() if to == late} == {INVALID_PRODUCER_EPOCH}
        put_for(deployment, 1, rng)
        deployment.flush()
        deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []


@pytest.mark.soak
@pytest.mark.parametrize("topic", TOPICS)
def test_a_send_that_the_broker_refuses_ends_the_worker_and_is_made_up_for(
    deployment: KafkaPipeline, topic: str
) -> None:
    """The topic takes only tiny batches for a while."""
    rng = random.Random(15)
    name = f"{deployment.name}-{topic}"
    with Supervision(deployment, {1: {}}) as workers:
        deployment.wait_until_running(1)
        put_for(deployment, 1, rng)
        limit_batches(deployment, name, "100")
        put_for(deployment, 1, rng)
        wait_until_failed(deployment, workers, 1)
        limit_batches(deployment, name, "3145728")
        put_for(deployment, 1, rng)
        deployment.flush()
        deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []


def limit_batches(deployment: KafkaPipeline, topic: str, size: str) -> None:
    """Set the largest record batch a topic takes, in bytes."""
    entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for answer in deployment.admin.incremental_alter_configs([resource]).values():
        answer.result()
