"""The long version of the fault tests: many numbers, many kills, attempts and wakes among them."""

from __future__ import annotations

import collections
import random
import time
from collections.abc import Iterable

import pytest

from tests.stream import changelog, pipeline
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision

pytestmark = pytest.mark.soak

EVENTS = 300_000
KEYS = 75_000
ATTEMPTS = 2_000
WAKES = 2_000
KILLS = 8
PER_SECOND = 2_500
SEEDS = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_number_is_counted_once_and_every_attempt_and_wake_ends_once_over_many_kills(
    deployment: KafkaPipeline, seed: int
) -> None:
    """kill -9 of either worker at random, every third time with the state directory deleted."""
    rng = random.Random(seed)
    kills = sorted(rng.sample(range(EVENTS // 20, EVENTS), KILLS))
    special = rng.sample(range(EVENTS), ATTEMPTS + WAKES)
    attempts = {n: f"attempt{n}" for n in special[:ATTEMPTS]}
    wakes = {n: f"wake{n}" for n in special[ATTEMPTS:]}
    with Supervision(deployment, {1: {}, 2: {}}):
        deployment.wait_until_running(1)
        for n in range(EVENTS):
            if n in attempts:
                deployment.put(attempts[n], attempt=True)
            elif n in wakes:
                deployment.put(wakes[n], wake_in=rng.uniform(0, 60))
            else:
                deployment.put(f"k{rng.randrange(KEYS)}")
            if n % (PER_SECOND // 50) == 0:
                time.sleep(0.02)
            if kills and n == kills[0]:
                kill_and_start(deployment, rng.choice((1, 2)), lose_state=len(kills) % 3 == 0, away=rng.random() * 3)
                kills.pop(0)
        deployment.flush()
        deployment.wait_until_counted(600)
        deployment.wait_for(lambda: len(deployment.out()) >= ATTEMPTS + WAKES, 300)
    assert_once("performed", deployment, attempts.values())
    assert_once("woke", deployment, wakes.values())
    assert sum(key[:1] == pipeline.PERFORMED.kind for key in deployment.rows("counter")) == ATTEMPTS
    assert changelog.regressions(deployment, "counter") == []
    assert changelog.regressions(deployment, "summer") == []


def assert_once(what: str, deployment: KafkaPipeline, keys: Iterable[str]) -> None:
    """One distinct record on ``out`` for each key."""
    assert collections.Counter(record[what] for record in deployment.out() if what in record) == dict.fromkeys(keys, 1)


def kill_and_start(deployment: KafkaPipeline, worker: int, *, lose_state: bool, away: float) -> None:
    """kill -9, and start again after so many seconds."""
    deployment.kill(worker, lose_state=lose_state)
    time.sleep(away)
    deployment.start(worker)
