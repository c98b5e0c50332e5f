"""Health checks while there is no engine process: alive, not ready, and the port is the engine's when it comes."""

from __future__ import annotations

import socket
import urllib.error

import pytest

from streamnotify.devtools.kafka.broker import free_port
from streamnotify.stream.health import HealthServer
from streamnotify.stream.standing_in import standing_in
from tests.stream.test_health import get


def test_the_supervisor_is_alive_and_nothing_is_ready() -> None:
    port = free_port()
    with standing_in("127.0.0.1", port):
        assert get(port, "/livez") == (200, "ok: the engine process will be started again\n")
        for path in ("/readyz", "/metrics", "/"):
            assert get(port, path) == (503, "not ready: the engine process will be started again\n")
    with pytest.raises(urllib.error.URLError):
        get(port, "/livez")


def test_the_engine_has_the_port_afterwards_though_somebody_was_just_answered_on_it() -> None:
    port = free_port()
    for _ in range(3):
        with standing_in("127.0.0.1", port):
            idle = socket.create_connection(("127.0.0.1", port))
            assert get(port, "/livez")[0] == 200
        _, bound = HealthServer(lambda: True, lambda: None, "127.0.0.1", port).start()
        idle.close()
        assert bound == port
        port = free_port()


def test_where_it_cannot_listen_it_says_so_and_waits_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with standing_in("192.0.2.1", 8091):
        pass
    assert "nobody answers health checks meanwhile: STREAMNOTIFY_HEALTH_BIND is 192.0.2.1:8091" in caplog.text


def test_without_a_port_that_is_known_nobody_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    with standing_in("127.0.0.1", 0):
        pass
    assert caplog.text == ""
