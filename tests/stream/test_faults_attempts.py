"""Attempts while workers die, freeze and change: each ends once, and none that has ended is made again."""

from __future__ import annotations

import collections
import random

from streamnotify.stream.processor import RESULT
from tests.records import headers_of
from tests.stream import pipeline
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision
from tests.stream.noted_attempts import SLOW, Slow
from tests.stream.proxy import Fault, Proxy

EVERY = 1_000_000  # times


def performed(deployment: KafkaPipeline) -> dict[str, int]:
    """How often each key's result was handled, as the state has it."""
    kind = pipeline.PERFORMED
    rows = deployment.rows("counter").items()
    return {key[1:].decode(): kind.decode(value) for key, value in rows if key[:1] == kind.kind}


def assert_each_ended_once(deployment: KafkaPipeline, keys: list[str]) -> None:
    """One distinct record on ``out`` per attempt, and one result in the state."""
    deployment.wait_for(lambda: len(performed(deployment)) >= len(keys))
    assert performed(deployment) == dict.fromkeys(keys, 1)
    published = collections.Counter(record["performed"] for record in deployment.out())
    assert published == dict.fromkeys(keys, 1)


def test_every_attempt_ends_once_whatever_happens_to_the_workers(deployment: KafkaPipeline) -> None:
    """kill -9 with and without lost state, and a worker that joins, while attempts are started all the time."""
    rng = random.Random(16)
    keys: list[str] = []

    def put_attempts(count: int) -> None:
        for _ in range(count):
            keys.append(f"a{len(keys)}")
            deployment.put(keys[-1], attempt=True)
        deployment.flush()

    deployment.start(1)
    deployment.wait_until_running(1)
    put_attempts(300)
    deployment.start(2)  # a rebalance
    put_attempts(300)
    deployment.wait_until_running(2)
    put_attempts(300)
    deployment.wait_for(lambda: len(performed(deployment)) > rng.randrange(100, 600), pause=0.05)
    deployment.kill(1, lose_state=True)
    put_attempts(300)
    deployment.start(1)
    deployment.wait_for(lambda: len(performed(deployment)) > 900, pause=0.05)
    deployment.kill(2)
    deployment.start(2)
    deployment.wait_until_counted()
    assert_each_ended_once(deployment, keys)


def test_a_slow_attempt_is_aborted_at_revocation_and_made_by_the_new_owner(
    deployment: KafkaPipeline, slow: Slow
) -> None:
    """The first worker would take minutes; the second, which takes its partitions over, ends them all."""
    keys = [f"a{n}" for n in range(8)]
    attempts = slow(600)
    first = deployment.start(1, stations=SLOW)
    for key in keys:
        deployment.put(key, attempt=True)
    deployment.flush()
    deployment.wait_for(lambda: set(attempts.keys("begin")) == set(keys))
    slow(0)
    second = deployment.start(2, stations=SLOW)
    deployment.wait_for(lambda: bool(attempts.keys("done")))
    assert set(attempts.keys("abort", by=first.pid)) == set(keys)
    assert deployment.stop(1) == 0
    assert_each_ended_once(deployment, keys)
    assert sorted(attempts.keys("done", by=second.pid)) == keys


def test_a_result_that_was_sent_before_the_worker_died_is_taken_and_the_attempt_not_made_again(
    deployment: KafkaPipeline, slow: Slow
) -> None:
    """Its owner could not persist that it has the result; the next one reads it before it starts open attempts."""
    keys = [f"a{n}" for n in range(8)]
    attempts = slow(2)
    with Proxy(int(deployment.bootstrap_servers.rsplit(":", 1)[1])) as proxy:
        told = {"stations": SLOW, "proxy": proxy.port, "send_timeout_ms": 1500}
        with Supervision(deployment, {1: told}) as workers:
            for key in keys:
                deployment.put(key, attempt=True)
            deployment.flush()
            deployment.wait_for(lambda: set(attempts.keys("begin")) == set(keys), pause=0.1)
            changelog = f"{deployment.name}-counter-changelog"
            proxy.break_sends(changelog, Fault.NOT_SENT, times=EVERY, after=RESULT.encode())
            deployment.wait_for(lambda: workers.failures[1] > 0, pause=0.1)
            proxy.break_sends(changelog, Fault.NOT_SENT, times=0)
            assert_each_ended_once(deployment, keys)
    assert sorted(attempts.keys("begin")) == keys


def test_a_result_that_lies_there_twice_is_taken_once(deployment: KafkaPipeline, slow: Slow) -> None:
    """The broker's answer to it was lost, so it was sent again."""
    keys = [f"a{n}" for n in range(8)]
    attempts = slow(1)
    with Proxy(int(deployment.bootstrap_servers.rsplit(":", 1)[1])) as proxy:
        deployment.start(1, stations=SLOW, proxy=proxy.port)
        for key in keys:
            deployment.put(key, attempt=True)
        deployment.flush()
        deployment.wait_for(lambda: set(attempts.keys("begin")) == set(keys), pause=0.05)
        proxy.break_sends(f"{deployment.name}-counts", Fault.NO_ANSWER, times=2, carrying=RESULT.encode())
        assert_each_ended_once(deployment, keys)
    sent = [record for record in deployment.records(f"{deployment.name}-counts") if RESULT in headers_of(record)]
    assert len(sent) > len(keys)
    assert performed(deployment) == dict.fromkeys(keys, 1)
