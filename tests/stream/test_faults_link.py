"""One worker's link to the broker is stalled past the session time-out: what it sends then must be refused."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from streamnotify.stream.worker import EXIT_FAILED
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision, put_for
from tests.stream.proxy import Proxy

SESSION = 6  # seconds
ALL = b"records flow; 8 partitions"  # of two stations with four each


@pytest.fixture
def proxy(deployment: KafkaPipeline) -> Iterator[Proxy]:
    """Between a worker told of its port and the shared broker."""
    with Proxy(int(deployment.bootstrap_servers.rsplit(":", 1)[1])) as made:
        yield made


def test_batches_of_a_worker_whose_link_stalled_are_refused(deployment: KafkaPipeline, proxy: Proxy) -> None:
    """Its batches land behind the new owner's: refused by the log, the worker ends, no row goes back in time."""
    rng = random.Random(10)
    deployment.start(1, proxy=proxy.port)
    deployment.wait_until_running(1)
    deployment.start(2)
    deployment.wait_until_running(2)
    proxy.stall_at_send(f"{deployment.name}-counter-changelog")
    put_for(deployment, 2, rng)
    assert proxy.stalled.wait(30)
    put_for(deployment, SESSION, rng, per_second=2000)
    deployment.wait_for(lambda: ALL in deployment.log(2).read_bytes())
    proxy.go_on()
    deployment.wait_for(lambda: deployment.workers[1].poll() is not None)
    assert deployment.workers[1].returncode == EXIT_FAILED
    put_for(deployment, 2, rng)
    deployment.flush()
    deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []
    assert changelog.regressions(deployment, "summer") == []


def test_a_worker_whose_link_stalled_while_nothing_was_under_way_loses_nothing(
    deployment: KafkaPipeline, proxy: Proxy
) -> None:
    """It ends or goes on, by whether it hears of its loss before what it had asked for; the counts are right."""
    rng = random.Random(11)
    with Supervision(deployment, {1: {"proxy": proxy.port}, 2: {}}):
        deployment.wait_until_running(1)
        deployment.wait_until_running(2)
        put_for(deployment, 2, rng)
        deployment.flush()
        deployment.wait_until_counted()
        proxy.stall()
        put_for(deployment, SESSION + 2, rng, per_second=2000)
        proxy.go_on()
        put_for(deployment, 2, rng)
        deployment.flush()
        deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []
    assert changelog.regressions(deployment, "summer") == []


def test_a_worker_that_hears_nothing_more_of_its_group_ends(deployment: KafkaPipeline, proxy: Proxy) -> None:
    """Its requests are neither answered nor refused, which no time-out of theirs would tell in an hour."""
    deployment.start(1, proxy=proxy.port, unheard_limit=2 * SESSION)
    deployment.wait_until_running(1)
    proxy.stall()
    deployment.wait_for(lambda: deployment.workers[1].poll() is not None)
    assert deployment.workers[1].returncode == EXIT_FAILED
    assert b"the group coordinator has not answered for" in deployment.log(1).read_bytes()
