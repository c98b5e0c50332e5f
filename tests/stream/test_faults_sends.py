"""A send to a changelog or an internal topic fails, expires, loses its answer, or lands late."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.records import headers_of
from tests.stream import changelog, pipeline
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


def wait_until_faulted(deployment: KafkaPipeline, proxy: Proxy, times: int) -> None:
    """Wait until the fault has happened so often."""
    deployment.wait_for(lambda: proxy.faulted >= times, pause=0.1)


def test_a_send_whose_answer_is_lost_is_repeated_and_takes_effect_once(deployment: KafkaPipeline, proxy: Proxy) -> None:
    """The broker knows the repetition by its sequence number: the worker goes on, and nothing lies there twice."""
    rng = random.Random(13)
    deployment.start(1, proxy=proxy.port)
    deployment.wait_until_running(1)
    for lost, topic in enumerate(2 * TOPICS, start=1):
        put_for(deployment, 0.5, rng)
        proxy.break_sends(f"{deployment.name}-{topic}", Fault.NO_ANSWER)
        put_for(deployment, 0.5, rng)
        wait_until_faulted(deployment, proxy, lost)
    deployment.flush()
    deployment.wait_until_counted()
    assert deployment.workers[1].poll() is None
    assert changelog.regressions(deployment, "counter") == []
    sums = deployment.records(f"{deployment.name}-sums")
    identities = [headers["sn-from"] for headers in map(headers_of, sums) if "sn-tick" not in headers]
    assert len(identities) == sum(deployment.expected.values())
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(
    "faults",
    [
        {"sums": Fault.NO_ANSWER, "counter-changelog": Fault.LATE},
        pytest.param({"sums": Fault.NOT_SENT, "counter-changelog": Fault.NO_ANSWER}, marks=pytest.mark.soak),
        pytest.param({"counter-changelog": Fault.NOT_SENT, "sums": Fault.LATE}, marks=pytest.mark.soak),
    ],
    ids=lambda faults: ", ".join(f"{topic} {fault.name}" for topic, fault in faults.items()),
)
def test_after_a_send_that_was_never_acked_the_worker_ends_and_nothing_is_lost_or_taken_twice(
    deployment: KafkaPipeline, proxy: Proxy, faults: dict[str, Fault]
) -> None:
    """Until the send expires. Had it reached the broker, its repetition is dropped; if it lands late, it is refused."""
    rng = random.Random(14)
    with Supervision(deployment, {1: {"proxy": proxy.port, "send_timeout_ms": 1500}}) as workers:
        deployment.wait_until_running(1)
        for times, (topic, fault) in enumerate(faults.items(), start=1):
            put_for(deployment, 1, rng)
            proxy.break_sends(f"{deployment.name}-{topic}", fault, times=EVERY)
            put_for(deployment, 1, rng)
            wait_until_failed(deployment, workers, times)
            proxy.break_sends(f"{deployment.name}-{topic}", fault, times=0)
        deployment.flush()
        deployment.wait_until_counted()
        late = {f"{deployment.name}-{topic}" for topic, fault in faults.items() if fault is Fault.LATE}
        answers = {code for answer in proxy.deliver_late() for (topic, _), code in answer.items() if topic in late}
        assert answers == ({INVALID_PRODUCER_EPOCH} if late else set())
        put_for(deployment, 1, rng)
        deployment.flush()
        deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []


def test_a_stateless_station_commits_nothing_whose_emissions_were_not_acked(
    deployment: KafkaPipeline, proxy: Proxy
) -> None:
    """Each number it read is emitted in the end, at least once; it has no state to tell it what was."""
    keys = [f"s{n}" for n in range(3000)]
    with Supervision(deployment, {1: {"proxy": proxy.port, "send_timeout_ms": 1500}}) as workers:
        deployment.wait_until_running(1)
        for key in keys[:1000]:
            deployment.put_bytes(pipeline.number(key))
        deployment.flush()
        deployment.wait_for(lambda: len(deployment.counts("counter")) == 1000)
        proxy.break_sends(f"{deployment.name}-counts", Fault.NOT_SENT, times=EVERY)
        for key in keys[1000:]:
            deployment.put_bytes(pipeline.number(key))
        deployment.flush()
        wait_until_failed(deployment, workers, 1)
        proxy.break_sends(f"{deployment.name}-counts", Fault.NOT_SENT, times=0)
        deployment.wait_for(lambda: set(deployment.counts("counter")) == set(keys))


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
