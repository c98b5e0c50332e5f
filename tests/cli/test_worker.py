"""``streamnotify worker`` as a process: what makes it refuse to start. What it does is shown by the demo's test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamnotify import settings
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.supervisor import REFUSED


def _worker(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streamnotify", "worker", *arguments],
        cwd=directory,
        env=settings.child_environment({"PYTHONPATH": os.pathsep.join(sys.path), **environment}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_setting_is_refused(tmp_path: Path) -> None:
    ended = _worker(tmp_path, STREAMNOTIFY_DIGEST_WINDOW="1h", STREAMNOTIFY_DIGEST_MAX_WAIT="1m")
    assert ended.returncode == REFUSED
    assert ended.stderr.startswith("Error: STREAMNOTIFY_DIGEST_MAX_WAIT is 1m: at least")


@pytest.mark.parametrize("arguments", [(), ("--no-supervise",)], ids=["supervised", "alone"])
def test_missing_topics_are_refused_with_the_command_to_run(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = _worker(
        tmp_path, *arguments, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers, STREAMNOTIFY_TOPIC_PREFIX=f"{unique}."
    )
    assert ended.returncode == REFUSED
    assert f"{unique}.task-events: missing" in ended.stderr
    assert "Run: streamnotify topics apply" in ended.stderr
