"""One worker's link to the broker is stalled past the session time-out: what it sends then must be refused."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from streamnotify.stream.worker import EXIT_FAILED
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import put_for
from tests.stream.proxy import Proxy

SESSION = 6  # seconds


@pytest.fixture
def proxy(deployment: KafkaPipeline) -> Iterator[Proxy]:
    """Between a worker told of its port and the shared broker."""
    with Proxy(int(deployment.bootstrap_servers.rsplit(":", 1)[1])) as made:
        yield made


def test_batches_of_a_worker_whose_link_stalled_are_refused(deployment: KafkaPipeline, proxy: Proxy) -> None:
    """Its batches land behind the new owner's: refused by the log, the worker ends, no row goes back in time."""
    rng = random.Random(10)
    deployment.start(1, proxy=proxy.port)
    deployment.start(2)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    put_for(deployment, 2, rng)
    proxy.stall()
    put_for(deployment, SESSION + 4, rng, per_second=2000)
    proxy.go_on()
    assert deployment.workers[1].wait(30) == EXIT_FAILED
    put_for(deployment, 2, rng)
    deployment.flush()
    deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []
    assert changelog.regressions(deployment, "summer") == []
