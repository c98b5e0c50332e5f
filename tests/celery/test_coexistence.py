"""Must hold 4: beside the Celery integrations of Sentry, OpenTelemetry and Datadog, all of them switched on."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.celery.cases import Worker
from tests.celery.celery_workers import CeleryProcesses, create_topic, read_all

WORKER = Worker("coexist", "prefork")
OURS = ("first", "last", "never")  # when we are installed
OWN = ("organization_id", "user_id", "x-streamnotify-")
Seen = dict[str, dict[str, str]]
pytestmark = pytest.mark.skipif(
    not WORKER.is_installed, reason="Sentry, OpenTelemetry and Datadog are not here: `make .celery-coexist/.done`"
)


@pytest.fixture(scope="module")
def seen(kafka: EmbeddedKafka, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a task saw, by when we were installed; and under ``events`` what we published."""
    server, prefix = redis_url.rpartition("/")[0], f"coexist{uuid.uuid4().hex[:10]}."
    create_topic(kafka.bootstrap_servers, f"{prefix}task-events")
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        drivers = {}
        for number, ours in enumerate(OURS):
            directory = tmp_path_factory.mktemp(ours)
            variables = {
                "TESTS_OURS": ours,
                "DD_CELERY_DISTRIBUTED_TRACING": "true",
                "DD_TRACE_PROPAGATION_STYLE": "datadog",  # else its traceparent stands in OpenTelemetry's place
                "DD_TRACE_AGENT_URL": "http://127.0.0.1:1",
                "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
                "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            }
            made = CeleryProcesses(WORKER, f"{server}/{number}", kafka.bootstrap_servers, prefix, directory, variables)
            stack.enter_context(closing(made))
            made.start_worker("tests.celery.coexisting", "--concurrency", "1")
            drivers[ours] = (made, made.start_driver(module="tests.celery.coexisting"))
        for ours, (made, driver) in drivers.items():
            assert driver.wait(150) == 0, made.last_words()
            found[ours] = last_json(made.log("driver"))
            made.stop()
    found["events"] = read_all(kafka.bootstrap_servers, f"{prefix}task-events")
    return found


def last_json(log: Path) -> dict[str, Any]:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def without_ours(headers: dict[str, str]) -> set[str]:
    return {name for name in headers if not name.startswith(OWN)}


@pytest.mark.parametrize("ours", OURS)
def test_each_of_the_others_finds_its_trace_at_the_task(ours: str, seen: dict[str, Seen]) -> None:
    traces, headers = seen[ours]["traces"], seen[ours]["top"]
    assert traces["sentry"] in headers["sentry-trace"]
    assert traces["opentelemetry"] in headers["traceparent"]
    nested = seen[ours]["nested"]
    assert traces["datadog"] in {headers.get("x-datadog-trace-id"), nested.get("x-datadog-trace-id")}


@pytest.mark.parametrize("ours", ["first", "last"])
def test_their_headers_are_those_they_set_without_us(ours: str, seen: dict[str, Seen]) -> None:
    for level in ("top", "nested"):
        assert without_ours(seen[ours][level]) == without_ours(seen["never"][level])


@pytest.mark.parametrize("ours", ["first", "last"])
def test_our_headers_are_there_too(ours: str, seen: dict[str, Any]) -> None:
    headers = seen[ours]["top"]
    assert (headers["organization_id"], headers["user_id"]) == ("org-a", "ann")
    assert "x-streamnotify-sent" in headers
    assert "x-streamnotify-sent" not in seen["never"]["top"]
    events = [event for event in seen["events"] if event["task_id"] == f"ours-{ours}"]
    assert [(event["attempt"], event["organization_id"]) for event in events if event.get("final")] == [(2, "org-a")]
