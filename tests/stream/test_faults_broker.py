"""The broker dies under load, or is stopped, and comes back on the same ports and data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.conftest import OwnKafka
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision, put_for

AWAY = 3.0  # seconds for which there is no broker


@pytest.fixture
def broker(own_kafka: OwnKafka) -> EmbeddedKafka:
    """A broker of our own, running."""
    made = own_kafka()
    made.start()
    return made


@pytest.fixture
def deployment(broker: EmbeddedKafka, tmp_path: Path) -> Iterator[KafkaPipeline]:
    """The test pipeline on that broker."""
    made = KafkaPipeline(broker.bootstrap_servers, "bounced", tmp_path)
    made.create_topics()
    yield made
    made.close()


def test_a_broker_that_goes_and_comes_back_under_load_costs_no_number(
    deployment: KafkaPipeline, broker: EmbeddedKafka
) -> None:
    """SIGKILL, then a clean stop; workers come back by themselves or as their supervisor starts them again."""
    rng = random.Random(11)
    with Supervision(deployment, {1: {}, 2: {}}):
        deployment.wait_until_running(1)
        deployment.wait_until_running(2)
        for end in (broker.kill, broker.stop):
            put_for(deployment, 2, rng)
            end()
            put_for(deployment, AWAY, rng, per_second=1000)  # kept by the publisher
            broker.start()
            put_for(deployment, 2, rng)
        deployment.flush()
        deployment.wait_until_counted(120)
    assert changelog.regressions(deployment, "counter") == []
    assert changelog.regressions(deployment, "summer") == []
