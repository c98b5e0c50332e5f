"""/livez, /readyz and /metrics of the engine process."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamnotify.errors import SettingsError
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine import STALLED_AFTER, Engine
from streamnotify.stream.health import HealthServer


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read().decode()


@pytest.mark.parametrize(("live", "ready", "livez", "readyz"), [(True, True, 200, 200), (False, False, 503, 503)])
def test_what_the_engine_says_is_what_is_answered(live: bool, ready: bool, livez: int, readyz: int) -> None:
    """As status codes, for whoever restarts or routes."""
    _, port = HealthServer(lambda: live, lambda: None if ready else "it rests", "127.0.0.1", 0).start()
    assert get(port, "/livez")[0] == livez
    assert get(port, "/readyz?probe=1") == (readyz, "ready\n" if ready else "not ready: it rests\n")
    assert get(port, "/")[0] == 404


def test_what_is_remarked_follows_readiness_and_changes_no_status() -> None:
    """A mail relay that is out of order, say: another worker would meet the same."""
    remarks: list[str] = []
    why: list[str] = []
    _, port = HealthServer(
        lambda: True, lambda: why[0] if why else None, "127.0.0.1", 0, remarks=lambda: remarks
    ).start()
    assert get(port, "/readyz") == (200, "ready\n")
    remarks += ["the relay is out: caf\u00e9", "it \udcff rains"]
    assert get(port, "/readyz") == (200, "ready\nthe relay is out: caf\u00e9\nit ? rains\n")
    why.append("it rests")
    assert get(port, "/readyz") == (503, "not ready: it rests\nthe relay is out: caf\u00e9\nit ? rains\n")
    assert get(port, "/livez") == (200, "ok\n")


def test_metrics_are_there_with_their_units_in_their_names() -> None:
    """research/kafka-ops.md section 4."""
    _, port = HealthServer(lambda: True, lambda: None, "127.0.0.1", 0).start()
    status, body = get(port, "/metrics")
    assert status == 200
    for name in ("streamnotify_records_total", "streamnotify_batch_seconds", "streamnotify_heartbeat_age_seconds"):
        assert f"# TYPE {name}" in body


def test_the_next_free_port_is_taken() -> None:
    """Workers of one machine share the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, other = HealthServer(lambda: True, lambda: None, "127.0.0.1", port).start()
    assert port < other < port + 20
    assert get(other, "/livez") == (200, "ok\n")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_this_machines_is_refused_by_the_name_of_the_setting(host: str) -> None:
    with pytest.raises(SettingsError, match=f"^STREAMNOTIFY_HEALTH_BIND is {host}:8091: an address of this machine"):
        HealthServer(lambda: True, lambda: None, host, 8091).start()


def test_an_engine_whose_event_loop_has_had_no_turn_lately_is_not_live(tmp_path: Any) -> None:
    """And one without assigned partitions is not ready; no broker is asked for either."""
    engine = Engine((), EngineConfig(bootstrap_servers="127.0.0.1:1", app_id="health", data_dir=tmp_path))
    assert engine.live
    assert engine.unready is not None
    engine.lease._pulse_at -= 60
    assert not engine.live


def test_an_engine_whose_frontier_stands_still_says_why_it_is_not_ready(tmp_path: Path) -> None:
    """Its checks wait, which somebody should look at; nobody has to restart it for that."""

    class Flowing(Engine):
        flowing = True

    engine = Flowing((), EngineConfig(bootstrap_servers="127.0.0.1:1", app_id="health", data_dir=tmp_path))
    assert engine.unready is None
    frontier: Any = SimpleNamespace(age=STALLED_AFTER - 1)
    engine._frontier = frontier
    assert engine.unready is None
    frontier.age = 754.3
    assert engine.unready == "task-events has not been taken in up to now for 754 s: checks of monitors wait"
    assert engine.live
