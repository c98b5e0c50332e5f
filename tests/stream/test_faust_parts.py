"""The private parts of Faust that the engine touches, in a running engine: each test breaks when one of them changes.

Those of aiokafka's producer are in test_fence.py, those of Faust's commits in test_faust_commits.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faust.streams
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.stream.kafka_pipeline import KafkaPipeline


@pytest.fixture(scope="module")
def heard(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What an engine's private parts did until its records flowed; see observed_worker."""
    directory = tmp_path_factory.mktemp("parts")
    deployment = KafkaPipeline(kafka.bootstrap_servers, f"parts{directory.stat().st_ino}", directory, partitions=2)
    deployment.create_topics()
    for n in range(50):
        deployment.put(f"k{n}")
    deployment.flush()
    # State for the observed engine to restore.
    deployment.start(1)
    deployment.wait_until_counted()
    deployment.kill_the_only_one(1, lose_state=True)
    report = directory / "report.json"
    told = {
        "bootstrap_servers": deployment.bootstrap_servers,
        "app_id": deployment.name,
        "data_dir": str(directory / "state"),
        "partitions": 2,
        "report": str(report),
    }
    with deployment.log(2).open("wb") as log:
        deployment.workers[2] = subprocess.Popen(
            [sys.executable, "-m", "tests.stream.observed_worker", json.dumps(told)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            env=dict(os.environ),
        )
    try:
        deployment.wait_for(lambda: report.exists() and report.read_text() != "", 60)
        yield json.loads(report.read_text())
    finally:
        deployment.close()


def test_partitions_are_fenced_before_faust_reads_the_ends_of_their_changelogs(heard: dict[str, Any]) -> None:
    """``Recovery._build_highwaters``, title "active", is that place: a barrier per partition, then the end offsets."""
    steps = heard["steps"]
    steps = steps[len(steps) - 1 - steps[::-1].index("take over") :]  # the last: a slow machine may rebalance twice
    # Faust may ask at any moment: a pass that the second rebalance interrupted is still ending, or a task waits for it.
    steps = [step for step in steps if not step.startswith("rows for Faust to recover")]
    end = steps.index("build highwaters active")
    assert steps[:end].count("append a fenced batch") >= 4
    assert steps[end + 1 : end + 3] == ["read end offsets", "build offsets active"]
    assert steps[:end].count("append a fenced batch") == steps.count("append a fenced batch")


def test_the_restore_leaves_nothing_for_fausts_recovery(heard: dict[str, Any]) -> None:
    """``Recovery.active_offsets`` is taken over: row by row it would take 20 times as long (DESIGN 3.6)."""
    answers = {step for step in heard["steps"] if step.startswith("rows for Faust to recover")}
    assert answers == {"rows for Faust to recover: False"}


def test_our_consumer_and_its_thread_are_the_ones_that_run(heard: dict[str, Any]) -> None:
    """``app.transport.Consumer`` and ``Consumer._new_consumer_thread``."""
    assert (heard["consumer"], heard["thread"]) == ("OrderedCommitConsumer", "FetchingThread")


def test_the_fetcher_and_the_heartbeats_are_hooked(heard: dict[str, Any]) -> None:
    """``Fetcher._proc_fetch_request`` paces, ``coordinator._do_heartbeat`` tells the lease; it was heard twice."""
    assert heard["hooked"] == ["watched", "paced"]
    assert heard["heartbeats"] >= 2
    assert heard["heartbeat_age"] < 2


def test_changelogs_are_really_paused_and_sources_flow(heard: dict[str, Any]) -> None:
    """In ``assignment.state_value(tp).paused`` of aiokafka, not only in Faust's own set (latency.md B)."""
    assert {name.rsplit("-", 1)[1] for name in heard["paused"]} == {"changelog"}
    assert len(heard["paused"]) == 4
    assert len(heard["flowing"]) == 6


def test_every_topic_is_subscribed_to_at_once(heard: dict[str, Any]) -> None:
    """Also by stations that read late: without the pause of ``TableManager.on_start``, as agents bring their topics."""
    assert heard["tables"] == "PromptTables"
    [topics] = heard["subscriptions"]
    assert [topic.removeprefix(heard["app"]) for topic in topics] == [
        "-counter-changelog",
        "-counts",
        "-summer-changelog",
        "-sums",
        ".numbers",
    ]


def test_nothing_is_fetched_during_a_takeover(heard: dict[str, Any]) -> None:
    """``ConsumerThread.on_partitions_assigned``: what is asked meanwhile would wait for each fetch (0.5 s)."""
    assert heard["fetched_meanwhile"] == []


def test_the_consumer_reads_committed_records_and_asks_often(heard: dict[str, Any]) -> None:
    """``_isolation_level`` (that it works: test_faust_traps.py) and ``_fetch_max_wait_ms``."""
    assert (heard["isolation"], heard["fetch_wait_ms"]) == ("read_committed", 500)


def test_every_database_is_opened_with_our_options_and_one_cache(heard: dict[str, Any]) -> None:
    """``Store.rocksdb_options.open`` (DESIGN section 9, "RocksDB")."""
    assert set(heard["opened"]) == {"counter-0.db", "counter-1.db", "summer-0.db", "summer-1.db"}
    assert heard["caches"] == 1


def test_faust_and_we_agree_on_databases_and_offsets(heard: dict[str, Any]) -> None:
    """``Store._db_for_partition`` and ``Store.offset_key``."""
    assert heard["databases"] == {"counter": [0, 1], "summer": [0, 1]}
    assert heard["offsets_agree"]


def test_faust_iterates_streams_in_c() -> None:
    """Its Python path acks events of an old generation that it skips (rule 34)."""
    assert getattr(faust.streams, "_CStreamIterator") is not None  # noqa: B009 - not exported
