"""The test pipeline on the shared broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka

pytest.register_assert_rewrite("tests.stream.kafka_pipeline")

from tests.stream.kafka_pipeline import KafkaPipeline  # noqa: E402 - after its asserts are told to explain themselves
from tests.stream.noted_attempts import Attempts, Slow  # noqa: E402 - likewise


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Iterator[KafkaPipeline]:
    """The test pipeline on the shared broker, topics created, no worker yet."""
    made = KafkaPipeline(kafka.bootstrap_servers, f"faults{unique}", tmp_path)
    made.create_topics()
    yield made
    made.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Slow:
    """Has workers started from now on take so many seconds for an attempt."""
    log = tmp_path / "attempts"

    def set_up(seconds: float) -> Attempts:
        monkeypatch.setenv("SLOW_LOG", str(log))
        monkeypatch.setenv("SLOW_SECONDS", str(seconds))
        return Attempts(log)

    return set_up
