"""Commits: exactly what is acked without a gap, and where Faust's own bookkeeping goes wrong (faust.md rules 1-4).

The tests that begin with ``test_plain_faust`` fail when a new version of Faust no longer falls into a trap: then look
whether our own code around it is still needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import MicroBatches, OrderedCommitConsumer
from streamnotify.stream.faust_app import faust_app

T = TypeVar("T")
SOURCE = TP("source", 0)


class Message:
    """What a consumer needs of a message; the offset is the last one of a micro-batch."""

    def __init__(self, offset: int) -> None:
        self.tp, self.topic, self.offset, self.acked = SOURCE, SOURCE.topic, offset, False


class FakeThread:
    """Stands for the consumer's thread."""

    def __init__(self) -> None:
        self.sought: Mapping[TP, int] = {}
        self.position = 0
        self.handed_over: int | None = None
        self.log_start = 0

    async def positions(self, partitions: set[TP]) -> dict[TP, tuple[int, int | None]]:
        """Where reading has come to, and the last offset handed over."""
        return dict.fromkeys(partitions, (self.position, self.handed_over))

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        """Where the logs start."""
        return dict.fromkeys(partitions, self.log_start)

    async def seek_wait(self, positions: Mapping[TP, int]) -> None:
        """Remember where reading is to go on."""
        self.sought = positions


async def nothing(*_: Any) -> None:
    """A callback."""


def consumer_of(kind: Callable[..., T], callback: Callable[[Any], Awaitable[None]] = nothing) -> T:
    """A consumer that is not connected; must be made in an event loop."""
    config = EngineConfig(bootstrap_servers="127.0.0.1:1", app_id="commits", data_dir=Path("state"))
    app: Any = faust_app(config)
    app.topics.acks_enabled_for = lambda topic: topic == SOURCE.topic
    consumer: Any = kind(app.transport, callback, nothing, nothing)
    consumer._thread = FakeThread()
    consumer.assignment = lambda: {SOURCE}
    return consumer  # type: ignore[no-any-return]


def committed(consumer: Any) -> int | None:
    """What the next commit would commit."""
    offsets = consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))
    consumer._committed_offset.update(offsets)
    return offsets.get(SOURCE)  # type: ignore[no-any-return]


async def plain_faust_reads(*offsets: int) -> tuple[Any, dict[int, Message]]:
    """A consumer of plain Faust to which micro-batches with these last offsets were delivered.

    The gaps are found as ``Consumer._drain_messages`` finds them.
    """
    consumer = consumer_of(FaustConsumer)
    for offset in offsets:
        before = consumer._read_offset[SOURCE]
        if offset - (before or 0) > 1 and before:
            await consumer._add_gap(SOURCE, before + 1, offset)
        consumer._read_offset[SOURCE] = offset
    return consumer, {offset: Message(offset) for offset in offsets}


async def ours_reads(*offsets: int) -> tuple[Any, dict[int, Message]]:
    """Our consumer, to which micro-batches with these last offsets were delivered."""
    consumer: Any = consumer_of(OrderedCommitConsumer)
    messages = {offset: Message(offset) for offset in offsets}
    for message in messages.values():
        await consumer.callback(message)
        await consumer._add_gap(SOURCE, 0, message.offset)
    return consumer, messages


@settings(deadline=None)
@given(st.data())
def test_a_commit_is_exactly_the_acked_prefix_whatever_the_order_of_acks(data: st.DataObject) -> None:
    """Never past a batch that is not acked, never behind one that is; checked after every ack."""
    offsets = sorted(data.draw(st.sets(st.integers(0, 300), min_size=1, max_size=12)))
    order = data.draw(st.permutations(offsets))
    commits = data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))

    async def scenario() -> None:
        consumer, messages = await ours_reads(*offsets)
        acked: set[int] = set()
        last = None
        for offset, commit_now in zip(order, commits, strict=True):
            consumer.ack(messages[offset])
            acked.add(offset)
            prefix = [o for n, o in enumerate(offsets) if acked.issuperset(offsets[: n + 1])]
            if commit_now:
                new = committed(consumer)
                last = last if new is None else new
                assert last == (prefix[-1] + 1 if prefix else None)
        assert committed(consumer) in (None, offsets[-1] + 1)
        assert consumer._acked[SOURCE] == []

    asyncio.run(scenario())


@pytest.mark.parametrize("reads", [plain_faust_reads, ours_reads])
def test_plain_faust_commits_one_batch_per_interval_and_ours_all_of_them(reads: Any) -> None:
    """Rule 1: 120,000 records done, 34,000 committed."""

    async def scenario() -> int | None:
        consumer, messages = await reads(99, 199, 299, 399)
        for message in messages.values():
            consumer.ack(message)
        return committed(consumer)

    assert asyncio.run(scenario()) == (400 if reads is ours_reads else 200)


@pytest.mark.parametrize("reads", [plain_faust_reads, ours_reads])
def test_plain_faust_never_commits_again_after_a_first_batch_at_offset_0_and_ours_does(reads: Any) -> None:
    """Rule 1a: 2,001 records processed, 1 committed."""

    async def scenario() -> list[int | None]:
        consumer, messages = await reads(0, 100, 200)
        commits = []
        for message in messages.values():
            consumer.ack(message)
            commits.append(committed(consumer))
        return commits

    assert asyncio.run(scenario()) == ([1, 101, 201] if reads is ours_reads else [1, None, None])


@pytest.mark.parametrize("reads", [plain_faust_reads, ours_reads])
def test_plain_faust_commits_past_a_batch_that_was_not_acked_and_ours_does_not(reads: Any) -> None:
    """Rule 1b: what was not acked would be lost by a restart."""

    async def scenario() -> int | None:
        consumer, messages = await reads(99, 199, 299)
        for offset in (99, 299):
            consumer.ack(messages[offset])
        committed(consumer)
        return committed(consumer) or consumer._committed_offset[SOURCE]

    assert asyncio.run(scenario()) == (100 if reads is ours_reads else 300)


@pytest.mark.parametrize("reads", [plain_faust_reads, ours_reads])
def test_after_a_commit_that_failed_plain_faust_thinks_it_committed_and_ours_commits_with_the_next(reads: Any) -> None:
    """Rule 1c: a commit that fails moves the offset Faust takes for committed; nothing must hang on it."""

    async def scenario() -> tuple[list[Mapping[TP, int]], int | None]:
        consumer, messages = await reads(1, 2)
        commits: list[Mapping[TP, int]] = []

        async def commit(offsets: Mapping[TP, int]) -> bool:
            commits.append(offsets)
            return len(commits) > 1

        consumer._commit = commit
        consumer.app._producer = SimpleNamespace(flush=nothing)
        consumer.ack(messages[1])
        assert not await consumer.commit()
        believed = consumer._committed_offset[SOURCE]
        consumer.ack(messages[2])
        await consumer.commit()
        return commits, believed

    commits, believed = asyncio.run(scenario())
    assert believed == 2
    assert commits == [{SOURCE: 2}, {SOURCE: 3}]


def test_what_was_fetched_before_a_seek_is_not_delivered_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 1d: every rebalance resumes, then seeks; records polled in between are from the wrong place."""
    delivered: list[int] = []

    async def deliver(message: Any) -> None:
        delivered.append(message.offset)

    async def scenario() -> Mapping[TP, int]:
        consumer: Any = consumer_of(OrderedCommitConsumer, deliver)
        monkeypatch.setattr(OrderedCommitConsumer, "positions", positions, raising=False)
        polled = asyncio.Event()

        async def poll(*_: Any) -> dict[TP, list[Any]]:
            await polled.wait()
            return {}

        monkeypatch.setattr(FaustConsumer, "_getmany", poll)
        polling = asyncio.ensure_future(consumer._getmany(None, 1.0))
        await asyncio.sleep(0)
        seeking = asyncio.ensure_future(consumer.perform_seek())
        await asyncio.sleep(0)
        assert not seeking.done(), "no seek while a poll is on its way"
        polled.set()
        await polling
        await seeking
        await consumer.callback(Message(41))
        await consumer._getmany(None, 1.0)
        await consumer.callback(Message(7))
        return consumer._thread.sought  # type: ignore[no-any-return]

    async def positions(_: Any, assigned: set[TP]) -> dict[TP, int]:
        return dict.fromkeys(assigned, 7)

    monkeypatch.setattr(MicroBatches, "topics", {SOURCE.topic})
    assert asyncio.run(scenario()) == {SOURCE: 7}
    assert delivered == [7]


def test_what_is_acked_is_committed_before_partitions_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain Faust forgets it (transport/consumer.py, on_partitions_revoked): up to 2.8 s of work would be repeated."""

    async def scenario(kind: Any) -> list[str]:
        consumer: Any = consumer_of(kind)
        steps: list[str] = []

        async def commit(*_: Any) -> bool:
            steps.append(f"commit {consumer._new_offset(SOURCE)}")
            return True

        async def suspend() -> None:
            steps.append("attempts end")

        monkeypatch.setattr(OrderedCommitConsumer, "before_revocation", staticmethod(suspend), raising=False)
        consumer.commit, consumer._on_partitions_revoked, consumer.wait_empty = commit, nothing, nothing
        message = Message(5)
        await consumer.callback(message)
        consumer.ack(message)
        await consumer.on_partitions_revoked({SOURCE})
        return steps

    assert asyncio.run(scenario(OrderedCommitConsumer)) == ["attempts end", "commit 6"]
    assert asyncio.run(scenario(FaustConsumer)) == []


class Scene:
    """A partition sought to offset 5, and what its consumer commits."""

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.thread: FakeThread = consumer._thread
        self.commits: list[int] = []
        consumer.app._producer = SimpleNamespace(flush=nothing)
        consumer._commit = self._note

    async def _note(self, offsets: Mapping[TP, int]) -> bool:
        self.commits += offsets.values()
        return True

    async def deliver(self, offset: int) -> Message:
        """Deliver what was handed over."""
        message = Message(offset)
        await self.consumer.callback(message)
        return message

    async def commit(self, *, position: int, handed_over: int | None) -> int | None:
        """What is committed while reading has come to ``position``, None if nothing."""
        self.thread.position, self.thread.handed_over = position, handed_over
        before = len(self.commits)
        await self.consumer.commit()
        return self.commits[-1] if len(self.commits) > before else None


async def scene_at_5(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A consumer that was told to go on at 5."""

    async def positions(_: Any, assigned: set[TP]) -> dict[TP, int]:
        return dict.fromkeys(assigned, 5)

    monkeypatch.setattr(OrderedCommitConsumer, "positions", positions, raising=False)
    monkeypatch.setattr(MicroBatches, "topics", {SOURCE.topic})
    consumer: Any = consumer_of(OrderedCommitConsumer)
    scene = Scene(consumer)
    scene.thread.log_start = 3
    await consumer.perform_seek()
    consumer._polled_at_seek = consumer._seek_count  # what is delivered now was fetched after the seek
    return scene


def test_the_position_is_committed_where_everything_delivered_is_acked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Markers of transactions are never delivered; they would hold the frontier."""

    async def scenario() -> list[int | None]:
        scene = await scene_at_5(monkeypatch)
        said = [await scene.commit(position=5, handed_over=None), await scene.commit(position=7, handed_over=None)]
        said.append(await scene.commit(position=7, handed_over=None))
        message = await scene.deliver(9)
        said.append(await scene.commit(position=12, handed_over=9))  # not acked
        scene.consumer.ack(message)
        said.append(await scene.commit(position=12, handed_over=11))  # 11 is still on its way
        said.append(await scene.commit(position=12, handed_over=9))
        return said

    assert asyncio.run(scenario()) == [None, 7, None, None, 10, 12]


def test_a_position_behind_which_records_expired_unread_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the loss would never be reported: the next start would take them for read."""

    async def scenario() -> list[int | None]:
        scene = await scene_at_5(monkeypatch)
        scene.thread.log_start = 8
        return [await scene.commit(position=8, handed_over=None)]

    assert asyncio.run(scenario()) == [None]


def test_no_position_is_committed_between_an_assignment_and_its_seek(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is where the client chose to begin, not where we are to go on."""

    async def scenario() -> list[int | None]:
        scene = await scene_at_5(monkeypatch)
        scene.consumer._on_partitions_revoked = scene.consumer.wait_empty = nothing
        monkeypatch.setattr(OrderedCommitConsumer, "before_revocation", staticmethod(nothing), raising=False)
        await scene.consumer.on_partitions_revoked({SOURCE})
        return [await scene.commit(position=50, handed_over=None)]

    assert asyncio.run(scenario()) == [None]


def test_plain_faust_pauses_a_partition_with_a_full_queue_and_ours_does_not() -> None:
    """Rule 4: with all of them paused it sleeps for a second."""

    async def scenario(kind: Any) -> bool:
        consumer = consumer_of(kind)
        consumer._active_partitions = {SOURCE}
        consumer.on_buffer_full(SOURCE)
        return SOURCE in consumer._active_partitions

    assert asyncio.run(scenario(OrderedCommitConsumer))
    assert not asyncio.run(scenario(FaustConsumer))


def test_only_source_topics_are_merged_into_micro_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 3: Faust recovers changelogs record by record."""

    def record(topic: str, offset: int) -> Any:
        return SimpleNamespace(topic=topic, partition=0, offset=offset, timestamp=offset, timestamp_type=1, value=b"")

    polled = {TP(topic, 0): [record(topic, n) for n in range(3)] for topic in ("merged", "changelog")}
    monkeypatch.setattr(MicroBatches, "topics", {"merged"})
    strategy: Any = MicroBatches
    delivered = list(strategy().iterate(polled))
    merged = [each for tp, each in delivered if tp.topic == "merged"]
    assert [(each.offset, each.timestamp, each.key, len(each.value)) for each in merged] == [(2, 2, None, 3)]
    assert [each.offset for tp, each in delivered if tp.topic == "changelog"] == [0, 1, 2]
    assert issubclass(MicroBatches, DefaultSchedulingStrategy)


def test_an_unknown_end_offset_does_not_stop_the_consumer() -> None:
    """Rule 2, issue 214: Faust's sensors fail on None."""

    async def scenario(kind: Any) -> Any:
        consumer = consumer_of(kind)
        consumer._thread.highwater = lambda tp: None
        return consumer.highwater(SOURCE)

    assert asyncio.run(scenario(OrderedCommitConsumer)) == 0
    assert asyncio.run(scenario(FaustConsumer)) is None
