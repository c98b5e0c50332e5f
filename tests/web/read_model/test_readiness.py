"""What needs no read model goes on without one, and /readyz says how it is."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.browsing import SECRET
from tests.web.web_process import WebProcess


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebProcess]:
    """The process before a Kafka that does not answer, with a data directory that is none."""
    (tmp_path / "data").write_text("a file where a directory is meant to be")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        process = WebProcess(
            tmp_path,
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{mute.getsockname()[1]}",
            STREAMNOTIFY_DATA_DIR=str(tmp_path / "data"),
            STREAMNOTIFY_PUBLIC_URL="http://127.0.0.1/mails",
            STREAMNOTIFY_SECRET=SECRET,
            STREAMNOTIFY_HTTP_BIND="127.0.0.1:0",
        )
        yield process
        process.end(signal.SIGKILL)


def test_without_kafka_and_without_room_for_the_file_the_pages_are_served(web: WebProcess) -> None:
    origin = web.origin()
    deadline = time.monotonic() + 30
    while "Read model: [Errno" not in web.log:
        assert time.monotonic() < deadline, web.log
        time.sleep(0.05)
    answer = httpx.get(f"{origin}/readyz")
    assert (answer.status_code, answer.json()) == (200, {"read_model": None})
    assert httpx.head(f"{origin}/readyz").status_code == 200
    assert httpx.get(f"{origin}/mails/unsubscribe/forged").status_code == 404
    assert web.log.count("Read model") == 1
    assert web.end() == 0
