"""The engine under faults, on a real broker: state equal to the expected counts to the last number, whatever dies."""

from __future__ import annotations

import random
import signal
import time

from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision, put_for


def test_kill_9_of_either_worker_loses_and_doubles_nothing(deployment: KafkaPipeline) -> None:
    """Two workers, killed in turn under load, once with the state directory deleted."""
    rng = random.Random(7)
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    for kill in range(2):
        put_for(deployment, 5, rng)
        worker = 1 + kill % 2
        deployment.kill(worker, lose_state=kill == 1)
        put_for(deployment, rng.random() * 2, rng)
        deployment.start(worker)
    put_for(deployment, 4, rng)
    deployment.flush()
    deployment.wait_until_counted()


def test_kill_9_loses_and_doubles_nothing_that_is_emitted_everywhere(deployment: KafkaPipeline) -> None:
    """Each partition of the next station counts everything once, whichever worker dies, one with its state."""
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    for kill in range(4):
        for n in range(2_000):
            deployment.put(f"k{n % 100}", everywhere="sums")
        deployment.flush()
        worker = 1 + kill % 2
        deployment.kill(worker, lose_state=kill == 2)
        deployment.start(worker)
    total = sum(deployment.expected.values())
    deployment.wait_for(lambda: min(sum(each.values()) for each in deployment.counts_of_each("summer")) >= total)
    assert deployment.counts_of_each("summer") == [dict(deployment.expected)] * deployment.partitions


def test_a_frozen_worker_writes_nothing_when_it_wakes(deployment: KafkaPipeline) -> None:
    """SIGSTOP for twice the session time-out: the other worker takes over, the frozen one ends itself."""
    rng = random.Random(9)
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    put_for(deployment, 3, rng)
    deployment.workers[1].send_signal(signal.SIGSTOP)
    put_for(deployment, 13, rng, per_second=1000)
    deployment.workers[1].send_signal(signal.SIGCONT)
    assert deployment.workers[1].wait(30) == 70
    put_for(deployment, 2, rng)
    deployment.flush()
    deployment.wait_until_counted()


def test_first_events_ever_on_a_partition_during_a_recovery_are_counted(deployment: KafkaPipeline) -> None:
    """Partitions without a committed offset are sought to the start of their log (848 of 1,488 were lost once)."""
    deployment.start(1)
    for n in range(20_000):
        deployment.put(f"k{n % 500}", partition=n % 2)
    deployment.flush()
    deployment.wait_for(lambda: sum(deployment.counts("summer").values()) >= 15_000)
    deployment.kill_the_only_one(1, lose_state=True)
    for n in range(400):
        deployment.put(f"late{n}", partition=2 + n % 2)
    deployment.flush()
    deployment.start(2)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        deployment.put("trickle2", partition=2)
        deployment.put("trickle3", partition=3)
        time.sleep(0.02)
    deployment.flush()
    deployment.wait_until_counted()


def test_a_worker_that_joins_and_leaves_within_seconds_costs_nothing(deployment: KafkaPipeline) -> None:
    """Each rebalance overtakes the one before, while state is being restored; a stop by SIGTERM is no failure."""
    rng = random.Random(19)
    with Supervision(deployment, {1: {}, 2: {}}) as workers:
        deployment.wait_until_running(1)
        deployment.wait_until_running(2)
        deployment.start(3)
        put_for(deployment, 2, rng)  # it has just joined, and the others have begun to take over
        deployment.workers[3].terminate()
        put_for(deployment, 1, rng)
        deployment.start(3)
        deployment.wait_until_running(3)
        put_for(deployment, 1, rng)
        assert deployment.stop(3) == 0
        put_for(deployment, 1, rng)
        deployment.flush()
        deployment.wait_until_counted()
        assert workers.failures == {1: 0, 2: 0}
    assert changelog.regressions(deployment, "counter") == []
