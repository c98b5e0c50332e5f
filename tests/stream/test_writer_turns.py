"""Many lanes that send to one partition, on a real broker."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream import writer
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.layers import Emission
from tests.stream.pipeline import OUT

LANES, CHUNKS = 8, 60
BUSY = 0.005  # seconds a lane handles records between two sends, while nothing else runs


def test_every_lane_gets_its_turn_to_send_to_a_partition_that_all_want(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka lets whoever comes first add the next batch, and counts the time of those it passes over several times:
    10,000 poison records in a row ended the engine by a time-out of 30 s within a few seconds."""
    monkeypatch.setattr(writer, "REQUEST_TIMEOUT_MS", 1000)
    config = EngineConfig(kafka.bootstrap_servers, f"turns{unique}", tmp_path, topic_prefix=f"turns{unique}.")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for made in admin.create_topics([NewTopic(config.topic_name(OUT), 1, 1)]).values():
        made.result()

    async def lane(sends: writer.Writer) -> None:
        for _ in range(CHUNKS):
            until = time.perf_counter() + BUSY
            while time.perf_counter() < until:
                pass
            await sends.emit([Emission(OUT, b"k", b"v", [])], 0, None)

    async def run() -> None:
        producer = writer.new_producer(config)
        await producer.start()
        try:
            sends = writer.Writer(producer, config, lambda: None)
            await asyncio.gather(*(lane(sends) for _ in range(LANES)))
        finally:
            await producer.stop()

    asyncio.run(run())
