"""``streamnotify worker`` as a process: what makes it refuse to start. What it does is shown by the demo's test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from streamnotify import settings
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port
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


def test_while_kafka_is_away_the_worker_is_alive_and_not_ready(tmp_path: Path) -> None:
    """So that nobody starts it anew, which would change nothing."""
    port, kafka = free_port(), free_port()
    running = subprocess.Popen(
        [sys.executable, "-m", "streamnotify", "worker"],
        cwd=tmp_path,
        env=settings.child_environment(
            {
                "PYTHONPATH": os.pathsep.join(sys.path),
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
                "STREAMNOTIFY_HEALTH_BIND": f"127.0.0.1:{port}",
            }
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 90
        answers: dict[str, int] = {}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:  # making one takes a while
            while not answers:
                assert time.monotonic() < until
                time.sleep(0.1)
                with suppress(httpx.TransportError):
                    answers = {path: client.get(path).status_code for path in ("/livez", "/readyz")}
        assert answers == {"/livez": 200, "/readyz": 503}
    finally:
        running.terminate()
        said = running.communicate(timeout=60)[1]
    assert f"Kafka at 127.0.0.1:{kafka} does not answer" in said
    assert running.returncode == 0
