"""Records that cannot be used, anywhere and in any number, while workers die."""

from __future__ import annotations

import collections
import random
import time

from tests.stream import pipeline
from tests.stream.kafka_pipeline import KafkaPipeline

KINDS = ("bad", "bug", "huge")
GARBAGE = (None, b"", b"\xff\xfe", b"[", b"{}", b"1", b"[" * 10_000, b"x" * 2_000_000)


def poisoned(deployment: KafkaPipeline) -> collections.Counter[tuple[str, str]]:
    """How often each poisoned number of the counter is among the dead letters: (key, kind)."""
    decode = pipeline.COUNTS.decode
    assert decode is not None
    adds = [decode(value or b"") for value, headers in deployment.dead_letters() if headers["sn-stage"] == "counter"]
    return collections.Counter((add.key, add.poison) for add in adds)


def test_poison_among_good_numbers_is_dead_lettered_once_and_the_good_ones_counted_once(
    deployment: KafkaPipeline,
) -> None:
    """Every kind of poison in both stations, workers killed in between; bytes stay untouched, the reason is told."""
    rng = random.Random(18)
    expected = []
    for worker in (1, 2):
        deployment.start(worker)
    deployment.wait_until_running(1)
    deployment.wait_until_running(2)
    for step in range(3):
        for n in range(3000):
            deployment.put(f"k{rng.randrange(500)}")
            if n % 100 == 0:
                key, kind = f"p{step}-{n}", KINDS[n // 100 % 3]
                deployment.put(key, poison=kind, count=False)
                expected.append((key, kind))
            if n % 500 == 0:
                for garbage in GARBAGE:
                    deployment.put_bytes(garbage)
        if step < 2:
            deployment.kill(1 + step, lose_state=step == 1)
            deployment.start(1 + step)
    deployment.flush()
    deployment.wait_until_counted()
    assert poisoned(deployment) == dict.fromkeys(expected, 1)
    deployment.wait_for(lambda: len(deployment.dead_letters()) >= len(expected) + 18 * len(GARBAGE))
    garbage_back = [
        (value, headers) for value, headers in deployment.dead_letters() if headers["sn-stage"] == "splitter"
    ]
    assert collections.Counter(value for value, _ in garbage_back) == dict.fromkeys(GARBAGE, 18)
    assert all(headers["sn-reason"] for _, headers in garbage_back)


def test_ten_thousand_poison_records_in_a_row_do_not_hold_up_the_stream(deployment: KafkaPipeline) -> None:
    """In a stateless and in a stateful station: dead-lettered each, the worker lives, what comes after is handled."""
    worker = deployment.start(1)
    deployment.wait_until_running(1)
    for n in range(10_000):
        deployment.put_bytes(b"poison %d" % n)
        deployment.put(f"p{n}", poison="bad", count=False)
    deployment.put("after")
    deployment.flush()
    began = time.monotonic()
    deployment.wait_until_counted()
    deployment.wait_for(lambda: len(deployment.dead_letters()) >= 20_000)
    print(f"20,000 poison records: {time.monotonic() - began:.1f} s")
    assert len(deployment.dead_letters()) == 20_000
    assert worker.poll() is None
