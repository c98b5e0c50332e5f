"""Changelogs are compacted between the writing of the state and its restoring."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import OwnKafka
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import put_for

CLEANER = {"log.cleaner.backoff.ms": "300", "log.initial.task.delay.ms": "100"}
COMPACTED_AT_ONCE = {"segment_ms": "300", "min_cleanable_dirty_ratio": "0.001", "delete_retention_ms": "0"}


@pytest.fixture
def deployment(own_kafka: OwnKafka, tmp_path: Path) -> Iterator[KafkaPipeline]:
    """The test pipeline on a broker that compacts all the time."""
    broker = own_kafka(overrides=CLEANER)
    broker.start()
    made = KafkaPipeline(broker.bootstrap_servers, "compacted", tmp_path)
    made.create_topics(**COMPACTED_AT_ONCE)
    yield made
    made.close()


def compacted(deployment: KafkaPipeline, station: str) -> bool:
    """Whether a good part of what was written to each partition of a changelog is gone."""
    held = changelog.offsets(deployment, station)
    return len(held) == deployment.partitions and all(len(have) < 0.8 * (have[-1] + 1) for have in held.values())


def test_state_is_restored_exactly_from_compacted_changelogs(deployment: KafkaPipeline) -> None:
    """Lost state is restored from what compaction left; kept state from where it stood, over gaps."""
    rng = random.Random(12)
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    put_for(deployment, 3, rng)
    deployment.kill(1)  # its state gets old

    def compacted_under_load() -> bool:
        put_for(deployment, 1, rng, per_second=2000)  # a segment is closed by the next write
        return compacted(deployment, "counter") and compacted(deployment, "summer")

    deployment.wait_for(compacted_under_load)
    deployment.kill(2, lose_state=True)
    for worker in (1, 2):
        deployment.start(worker)
    put_for(deployment, 2, rng)
    deployment.flush()
    deployment.wait_until_counted()
