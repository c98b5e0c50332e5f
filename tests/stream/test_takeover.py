"""A takeover that the next rebalance overtakes: the next owner's fence may reach it before it has heard of that."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from faust.types import TP

from streamnotify.errors import EngineFailure
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.partitions import Ownership
from streamnotify.stream.takeover import Takeover
from tests.stream import changelog
from tests.stream.kafka_pipeline import KafkaPipeline
from tests.stream.load import Supervision

OVERTAKEN = b"another rebalance overtook this one"
SESSION = 6  # seconds; the least that brokers allow


class Gate:
    """Holds a step of a worker while it is shut."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Let it go on, now and from now on."""
        self.path.touch()

    def shut(self) -> None:
        """Hold it the next time."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".held").unlink(missing_ok=True)

    def holds(self) -> bool:
        """Whether the step waits here, or would have since it was shut last."""
        return self.path.with_suffix(".held").exists()


@pytest.fixture
def takeover(tmp_path: Path) -> Gate:
    """Holds a takeover at some step."""
    return Gate(tmp_path / "takeover")


def start(deployment: KafkaPipeline, held: dict[str, Gate], session: int) -> None:
    """Start the first worker with some of its steps held, as on a slow machine."""
    paths = {step: str(gate.path) for step, gate in held.items()}
    deployment.start(1, held=paths, session_timeout=session)


def put(deployment: KafkaPipeline) -> None:
    """Some numbers on every partition, the same keys each time."""
    for n in range(200):
        deployment.put(f"k{n}")
    deployment.flush()


def wait_until_overtaken(deployment: KafkaPipeline) -> None:
    """Until the first worker has noticed that it is not the owner any more."""
    deployment.wait_for(lambda: OVERTAKEN in deployment.log(1).read_bytes() or deployment.workers[1].poll() is not None)
    assert deployment.workers[1].poll() is None


def check_that_both_work(deployment: KafkaPipeline) -> None:
    """Neither has ended, and together they count right."""
    deployment.wait_until_running(1)
    put(deployment)
    deployment.wait_until_counted()
    assert [worker.poll() for worker in deployment.workers.values()] == [None, None]


@pytest.mark.parametrize("step", ["run", "_inputs"], ids=["no fence", "fences"])
def test_a_takeover_that_goes_on_while_its_partitions_have_their_next_owner_ends_neither_worker(
    deployment: KafkaPipeline, takeover: Gate, tmp_path: Path, step: str
) -> None:
    """It has a fence, and is refused; or it has none yet, and does not take that of the next owner."""
    assigned = Gate(tmp_path / "assigned")
    assigned.open()
    start(deployment, {step: takeover, "_on_join_complete": assigned}, session=30)
    deployment.wait_for(takeover.holds)
    assigned.shut()
    deployment.start(2, session_timeout=30)
    deployment.wait_until_running(2)
    assert assigned.holds()
    takeover.open()
    wait_until_overtaken(deployment)
    assigned.open()
    check_that_both_work(deployment)


def test_who_is_fenced_by_the_next_owner_and_hears_only_then_that_it_is_out_of_the_group_joins_again(
    deployment: KafkaPipeline, takeover: Gate, tmp_path: Path
) -> None:
    heartbeats = Gate(tmp_path / "heartbeats")
    start(deployment, {"_inputs": takeover, "_do_heartbeat": heartbeats}, session=SESSION)
    deployment.wait_for(takeover.holds)
    deployment.start(2, session_timeout=SESSION)
    deployment.wait_until_running(2)
    takeover.open()
    wait_until_overtaken(deployment)
    heartbeats.open()
    check_that_both_work(deployment)


def test_a_fence_is_not_renewed_over_the_head_of_the_next_owner(deployment: KafkaPipeline, tmp_path: Path) -> None:
    """It is out of the group unheard, and its state is old: what it would write then nobody would refuse."""
    renewal, heartbeats = Gate(tmp_path / "renewal"), Gate(tmp_path / "heartbeats")
    renewal.open()
    heartbeats.open()
    held = {"renew": str(renewal.path), "_do_heartbeat": str(heartbeats.path)}
    with Supervision(deployment, {1: {"held": held, "renew_after": 0}, 2: {}}) as supervision:
        deployment.wait_until_running(1)
        deployment.wait_for(lambda: b"records flow; 4 partitions" in deployment.log(2).read_bytes())
        put(deployment)
        deployment.wait_until_counted()
        heartbeats.shut()
        renewal.shut()
        put(deployment)
        deployment.wait_for(renewal.holds)
        deployment.wait_for(lambda: b"records flow; 8 partitions" in deployment.log(2).read_bytes())
        put(deployment)
        deployment.wait_until_counted()
        renewal.open()
        deployment.wait_for(lambda: supervision.failures[1] == 1)  # else it may hear first that it is out of the group
        heartbeats.open()
        put(deployment)
        deployment.wait_until_counted()
    assert changelog.regressions(deployment, "counter") == []


class Failing(Takeover):
    """A takeover that fails at once."""

    def __init__(self, failure: Exception, name: str | None = None) -> None:
        config = EngineConfig(
            "",
            "app",
            Path(),
            session_timeout=timedelta(seconds=0.2),
            rebalance_timeout=timedelta(seconds=0.1),
            instance_id=name,
        )
        nothing: Any = None
        super().__init__(config, [], {}, nothing, nothing, nothing, Ownership())
        self._failure = failure

    async def run(self, consumer: Any, changelogs: Any) -> dict[TP, int]:
        """Fail."""
        raise self._failure

    async def ends_after(self, *, revoked: bool) -> float:
        """Seconds until the engine is ended, if no rebalance ever comes; fails if it is not."""
        consumer = SimpleNamespace(revoked=asyncio.Event())
        recovery = SimpleNamespace(
            app=SimpleNamespace(consumer_generation_id=1), signal_recovery_start=asyncio.Event(), _build_highwaters=None
        )
        ended: list[BaseException] = []

        async def crash(failure: BaseException) -> None:
            ended.append(failure)

        self.hook_into(recovery, crash)
        if revoked:
            consumer.revoked.set()
        began = time.monotonic()
        with pytest.raises(type(self._failure)):
            await recovery._build_highwaters(consumer, set(), Counter(), "active")
        assert ended == [self._failure]
        return time.monotonic() - began


def test_a_takeover_that_ends_in_the_moment_of_the_next_assignment_ends_well() -> None:
    """Faust changes its set of partitions in place, and cancels what is under way a little later."""
    tps = {TP("changelog", 0)}

    class Overtaken(Failing):
        async def run(self, consumer: Any, changelogs: Any) -> dict[TP, int]:
            owned = dict.fromkeys(changelogs, 7)
            tps.add(TP("changelog", 1))
            return owned

    async def scenario() -> Any:
        async def goes_on(*_: Any) -> None: ...

        recovery = SimpleNamespace(
            app=SimpleNamespace(consumer_generation_id=1), active_offsets=Counter(), _build_highwaters=goes_on
        )
        Overtaken(FENCED).hook_into(recovery, goes_on)
        await recovery._build_highwaters(None, tps, Counter(), "active")
        return recovery.active_offsets

    assert asyncio.run(scenario()) == {TP("changelog", 0): 7}


FENCED = EngineFailure("not written")
FENCED.__cause__ = ProducerFenced()


@pytest.mark.parametrize("name", [None, "w-1"])
def test_who_was_told_to_let_go_and_is_given_nothing_ends_in_bounded_time(name: str | None) -> None:
    assert 0.3 <= asyncio.run(Failing(FENCED, name).ends_after(revoked=True)) < 3


@pytest.mark.parametrize("failure", [FENCED, ProducerFenced()], ids=["by a write", "by the barrier"])
def test_who_is_fenced_and_hears_of_no_rebalance_ends_after_the_session_time_out(failure: Exception) -> None:
    assert 0.2 <= asyncio.run(Failing(failure).ends_after(revoked=False)) < 3


def test_one_with_a_name_that_is_fenced_ends_at_once() -> None:
    """A twin has taken the name, and with it the partitions, without a rebalance."""
    assert asyncio.run(Failing(FENCED, "w-1").ends_after(revoked=False)) < 0.2


def test_what_fails_for_another_reason_ends_the_engine_at_once() -> None:
    assert asyncio.run(Failing(EngineFailure("state cannot be written")).ends_after(revoked=False)) < 0.2
