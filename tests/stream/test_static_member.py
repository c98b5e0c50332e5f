"""Workers with names of their own (STREAMNOTIFY_INSTANCE_ID): who comes back soon goes on, and nobody else notices."""

from __future__ import annotations

import random
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions

from streamnotify.stream.config import EngineConfig
from streamnotify.stream.static_member import RECORD
from streamnotify.stream.worker import EXIT_FAILED, EXIT_REFUSED
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision, put_for
from tests.stream.noted_attempts import SLOW, Slow

SHORT = 6  # seconds; where a test waits for the end of a session
LONG = 30  # where none may end, however slow the machine
WAITS = b"waiting for its end"
TAKES_UP = b"taking the partitions up"


def named(name: str, session: int = SHORT, **more: Any) -> dict[str, Any]:
    """What a worker of this name is told."""
    return {"instance_id": name, "session_timeout": session, "grace": 2, **more}


def rebalances(deployment: KafkaPipeline, worker: int) -> int:
    """How often a worker has joined the group."""
    return deployment.log(worker).read_bytes().count(b"(Re-)joining group")


def start_two(deployment: KafkaPipeline, session: int = SHORT) -> None:
    for worker in (1, 2):
        deployment.start(worker, **named(f"w-{worker}", session))
        deployment.wait_until_running(worker)
    # The first was alone, and is asked to share.
    deployment.wait_for(lambda: rebalances(deployment, 1) == 2)


def check_counts(deployment: KafkaPipeline) -> None:
    deployment.flush()
    deployment.wait_until_counted()
    for station in ("counter", "summer"):
        assert changelog.regressions(deployment, station) == []


def test_who_comes_back_within_the_session_time_out_goes_on_and_the_others_do_not_notice(
    deployment: KafkaPipeline,
) -> None:
    """Killed or stopped, the group's leader, too; which then still shares the work out when a third worker comes."""
    rng = random.Random(1)
    start_two(deployment, LONG)
    put_for(deployment, 1, rng)
    deployment.kill(2)
    put_for(deployment, 1, rng)
    deployment.start(2, **named("w-2", LONG))
    deployment.wait_until_running(2)
    assert TAKES_UP in deployment.log(2).read_bytes()
    assert rebalances(deployment, 1) == 2
    assert deployment.stop(1) == 0
    put_for(deployment, 1, rng)
    deployment.start(1, **named("w-1", LONG))
    deployment.wait_until_running(1)
    assert rebalances(deployment, 2) == 2  # its own two starts
    check_counts(deployment)
    deployment.start(3, **named("w-3", LONG))
    deployment.wait_until_running(3)
    put_for(deployment, 1, rng)
    check_counts(deployment)


def test_who_does_not_come_back_is_replaced_after_the_session_time_out(deployment: KafkaPipeline) -> None:
    """That is scaling down, and a node that is lost."""
    rng = random.Random(2)
    start_two(deployment)
    assert deployment.stop(2) == 0
    put_for(deployment, 1, rng)
    deployment.wait_for(lambda: rebalances(deployment, 1) == 3)
    check_counts(deployment)


def test_who_comes_back_without_its_state_waits_until_the_group_has_forgotten_it(deployment: KafkaPipeline) -> None:
    """Nothing shows that the one before is dead."""
    rng = random.Random(3)
    start_two(deployment)
    put_for(deployment, 1, rng)
    deployment.kill(2, lose_state=True)
    deployment.start(2, **named("w-2"))
    deployment.wait_until_running(2)
    assert WAITS in deployment.log(2).read_bytes()
    assert TAKES_UP not in deployment.log(2).read_bytes()
    put_for(deployment, 1, rng)
    check_counts(deployment)


def test_partitions_that_were_added_while_the_groups_leader_was_away_are_read(deployment: KafkaPipeline) -> None:
    """It gets what it had before, and nobody shares the new ones out, unless the group has forgotten it."""
    start_two(deployment)
    deployment.kill(1)
    numbers = f"{deployment.name}.numbers"
    [made] = deployment.admin.create_partitions([NewPartitions(numbers, deployment.partitions + 2)]).values()
    made.result()
    deployment.start(1, **named("w-1"))
    deployment.wait_until_running(1)
    assert TAKES_UP not in deployment.log(1).read_bytes()
    for partition in range(deployment.partitions + 2):
        deployment.publish(f"p{partition}", partition=partition)
    deployment.flush()
    deployment.wait_for(lambda: set(deployment.counts("summer")) == {f"p{number}" for number in range(6)})


def test_a_second_worker_of_a_name_is_refused_and_the_first_does_not_notice(deployment: KafkaPipeline) -> None:
    rng = random.Random(4)
    deployment.start(1, **named("twin"))
    deployment.wait_until_running(1)
    deployment.start(2, **named("twin"))
    while deployment.workers[2].poll() is None:
        put_for(deployment, 1, rng)
    assert deployment.workers[2].returncode == EXIT_REFUSED
    assert b"STREAMNOTIFY_INSTANCE_ID is 'twin': another worker is in the group by that name" in (
        deployment.log(2).read_bytes()
    )
    assert deployment.workers[1].poll() is None
    assert rebalances(deployment, 1) == 1
    check_counts(deployment)


def test_a_worker_whose_name_was_taken_ends_and_does_not_take_it_back(deployment: KafkaPipeline) -> None:
    """As by one that was told to be its successor: a copy of its directory says so."""
    rng = random.Random(5)
    deployment.start(1, **named("twin"))
    deployment.wait_until_running(1)
    deployment.data_dir(2).mkdir()
    shutil.copy(deployment.data_dir(1) / RECORD, deployment.data_dir(2) / RECORD)
    deployment.start(2, **named("twin"))
    put_for(deployment, 3, rng)
    deployment.wait_until_running(2)
    deployment.wait_for(lambda: deployment.workers[1].poll() is not None)
    assert deployment.workers[1].returncode == EXIT_FAILED
    assert rebalances(deployment, 1) == 1
    # Its supervisor starts it again, and then it is told.
    deployment.start(1, **named("twin"))
    while deployment.workers[1].poll() is None:
        put_for(deployment, 1, rng)
    assert deployment.workers[1].returncode == EXIT_REFUSED
    assert deployment.workers[2].poll() is None
    assert rebalances(deployment, 2) == 1
    check_counts(deployment)


def test_attempts_begin_when_nobody_of_the_name_can_make_any_and_at_once_where_the_one_before_is_dead(
    deployment: KafkaPipeline, slow: Slow
) -> None:
    attempts = slow(0.1)
    deployment.put("a1", attempt=True)
    deployment.flush()
    deployment.start(1, stations=SLOW, **named("w-1", LONG))
    deployment.wait_until_running(1)
    running_at = time.monotonic()
    deployment.wait_for(lambda: attempts.keys("done") == ["a1"], pause=0.05)
    lease = EngineConfig("", "", Path(), session_timeout=timedelta(seconds=LONG)).lease_limit
    assert time.monotonic() - running_at > 2 * lease.total_seconds() - 1
    deployment.kill(1)
    deployment.put("a2", attempt=True)
    deployment.flush()
    deployment.start(1, stations=SLOW, **named("w-1", LONG))
    deployment.wait_for(lambda: attempts.keys("done") == ["a1", "a2"])
    assert deployment.log(1).read_bytes().count(b"attempts begin") == 1


def test_of_two_workers_of_a_name_that_start_at_once_only_one_makes_each_attempt(
    deployment: KafkaPipeline, slow: Slow
) -> None:
    """Both may find the name free; the second to join has the partitions, and the first is out.

    The first may yet fence the second while both take their partitions over: then both end, and are started again.
    """
    attempts = slow(0.3)
    keys = [f"a{number}" for number in range(40)]
    for key in keys:
        deployment.put(key, attempt=True)
    deployment.flush()
    told = {"stations": SLOW, **named("twin", 10)}
    with Supervision(deployment, {1: told, 2: told}) as supervision:
        deployment.wait_for(lambda: set(attempts.keys("done")) == set(keys))
        deployment.wait_for(
            lambda: (
                any(supervision.failures.values())
                or any(worker.poll() is not None for worker in deployment.workers.values())
            )
        )
    assert sorted(attempts.keys("done")) == sorted(keys)
    assert sorted(attempts.keys("begin")) == sorted(keys)


def test_a_worker_whose_name_is_taken_while_it_shares_the_partitions_out_ends_at_once(
    deployment: KafkaPipeline, tmp_path: Path
) -> None:
    """The group answers with an error that aiokafka keeps for whoever asks for records next, and nobody does."""
    share_out, join = tmp_path / "share_out", tmp_path / "join"
    for worker, held in ((1, {"_on_join_leader": share_out}), (2, {"perform_group_join": join})):
        paths = {step: str(path) for step, path in held.items()}
        deployment.start(worker, held=paths, **named("twin", LONG))
    for path in (share_out, join):
        deployment.wait_for(path.with_suffix(".held").exists)
    join.touch()
    deployment.wait_for(lambda: b"Joined group" in deployment.log(2).read_bytes())
    share_out.touch()
    deployment.wait_for(lambda: deployment.workers[1].poll() is not None, seconds=30)
    assert deployment.workers[1].returncode == EXIT_FAILED
    deployment.wait_until_running(2)


@pytest.mark.soak
def test_named_workers_that_are_killed_over_and_over_count_right(deployment: KafkaPipeline) -> None:
    rng = random.Random(6)
    with Supervision(deployment, {1: named("w-1"), 2: named("w-2")}):
        for _ in range(12):
            put_for(deployment, rng.uniform(2, 8), rng)
            worker = rng.choice((1, 2))
            deployment.kill(worker, lose_state=rng.random() < 0.25)
            deployment.start(worker, **named(f"w-{worker}"))
        check_counts(deployment)
