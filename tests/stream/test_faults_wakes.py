"""Wakes while workers die: each key wakes once, not before its time, and none is lost."""

from __future__ import annotations

import collections
import random
from typing import Any

from tests.stream.kafka_pipeline import KafkaPipeline


def woken(deployment: KafkaPipeline) -> list[Any]:
    """The distinct records of keys that woke."""
    return [record for record in deployment.out() if "woke" in record]


def assert_each_woke_once(deployment: KafkaPipeline, keys: list[str]) -> None:
    """Wait until all have, then look at each."""
    deployment.wait_for(lambda: len(woken(deployment)) >= len(keys))
    deployment.wait_until_counted()  # what came late is read too
    records = woken(deployment)
    assert collections.Counter(record["woke"] for record in records) == dict.fromkeys(keys, 1)
    assert [record for record in records if record["now"] < record["at"]] == []


def test_each_key_wakes_once_and_not_before_its_time_whatever_happens_to_the_workers(
    deployment: KafkaPipeline,
) -> None:
    """Keys fall due while workers are killed, once with lost state; the wake of a deleted row is nothing."""
    rng = random.Random(17)
    keys = [f"w{n}" for n in range(2000)]
    forgotten = [f"f{n}" for n in range(200)]
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    for key in keys:
        deployment.put(key, wake_in=rng.uniform(0.5, 12))
    for key in forgotten:
        deployment.put(key, wake_in=rng.uniform(4, 12))
        deployment.put(key, forget=True)
    deployment.flush()
    deployment.wait_for(lambda: len(woken(deployment)) > 50, pause=0.1)
    deployment.kill(1, lose_state=True)
    deployment.start(1)
    deployment.wait_for(lambda: len(woken(deployment)) > 800, pause=0.1)
    deployment.kill(2)
    deployment.start(2)
    assert_each_woke_once(deployment, keys)


def test_five_thousand_keys_that_fall_due_in_one_second_all_wake_once(deployment: KafkaPipeline) -> None:
    """More than one tick can take; the worker dies between the ticks."""
    keys = [f"w{n}" for n in range(5000)]
    deployment.start(1)
    deployment.wait_until_running(1)
    for key in keys:
        deployment.put(key, wake_in=3)
    deployment.flush()
    deployment.wait_for(lambda: len(woken(deployment)) > 100, pause=0.05)
    deployment.kill_the_only_one(1)
    deployment.start(1)
    assert_each_woke_once(deployment, keys)
