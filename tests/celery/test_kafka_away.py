"""Must hold 2: Kafka is away for a while. No task notices, and every final event arrives in the end, mailed once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.celery.cases import ENDS, RELEASES, Worker
from tests.celery.celery_workers import CeleryProcesses, read_until
from tests.conftest import OwnKafka
from tests.e2e.product import MailServer, Product

NOWHERE = "127.0.0.1:1"
WORKER = Worker(RELEASES[-1], "prefork")


@pytest.fixture
def broker(own_kafka: OwnKafka) -> EmbeddedKafka:
    made = own_kafka()
    made.start()
    return made


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


@pytest.mark.parametrize(
    ("tasks", "away_s"), [(100, 10.0), pytest.param(1000, 60.0, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_kafka_is_away_and_comes_back(
    tasks: int, away_s: float, broker: EmbeddedKafka, redis_url: str, mail_server: MailServer, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    variables = {"STREAMNOTIFY_SPOOL_DIR": str(spool), "TESTS_GIVE_UP_S": str(away_s / 4)}
    with (
        closing(Product(broker.bootstrap_servers, "away", tmp_path, mail_server.port)) as product,
        closing(
            CeleryProcesses(WORKER, redis_url, broker.bootstrap_servers, product.prefix, tmp_path, variables)
        ) as processes,
    ):
        product.publish({"user_id": "ann", "email": "ann@example.com", "name": "Ann"}, key="ann", topic="users")
        product.flush()
        processes.start_worker("tests.celery.outage")
        assert states(processes, 0, 1) == {"SUCCESS": 1}  # every part of it has met Kafka

        broker.kill()
        gone_at = time.monotonic()
        assert states(processes, 1, tasks) == {"SUCCESS": tasks - 1}
        product.wait_for(lambda: spooled(spool) > 0, 60)  # what was queued has been given up
        product.wait_for(lambda: time.monotonic() - gone_at >= away_s, away_s + 1)
        broker.start()
        assert states(processes, tasks, tasks + 1) == {"SUCCESS": 1}

        ended = {f"task-{number}" for number in range(tasks + 1)}
        found = read_until(
            broker.bootstrap_servers,
            [processes.topic],
            lambda seen: {e["task_id"] for e in seen[processes.topic] if e["status"] in ENDS} >= ended,
        )
        finals = [event for event in found[processes.topic] if event["status"] in ENDS]
        assert {event["task_id"] for event in finals} == ended, processes.last_words()
        assert len({event["event_id"] for event in finals}) == tasks + 1
        processes.stop()
        assert spooled(spool) == 0

        product.start(1)
        product.wait_for(lambda: len(mail_server.deliveries) >= tasks + 1, 120)
        product.wait_for(lambda: all(run.is_over for run in product.runs().values()))
        assert product.stop(1) == 0
    assert len(mail_server.deliveries) == tasks + 1
    assert all(len(copies) == 1 for copies in mail_server.deliveries.values())


def test_without_any_kafka_every_task_succeeds_and_the_worker_stops_in_time(redis_url: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    variables = {"STREAMNOTIFY_SPOOL_DIR": str(spool), "TESTS_GIVE_UP_S": "30"}
    with closing(CeleryProcesses(WORKER, redis_url, NOWHERE, "none.", tmp_path, variables)) as processes:
        processes.start_worker("tests.celery.outage")
        assert states(processes, 0, 50) == {"SUCCESS": 50}
        processes.stop()
        worker = processes.log("worker").read_text()
    assert spooled(spool) == 50
    assert "Traceback" not in worker


def states(processes: CeleryProcesses, begin: int, end: int) -> dict[str, int]:
    """Send tasks with these numbers; how many ended in which of Celery's states."""
    driver = processes.start_driver(str(begin), str(end), module="tests.celery.outage")
    assert driver.wait(240) == 0, processes.last_words()
    lines = [line for line in processes.log("driver").read_text().splitlines() if line.startswith("{")]
    counted: dict[str, int] = json.loads(lines[-1])
    return counted


def spooled(directory: Path) -> int:
    """How many events lie in the spool."""
    return sum(len(path.read_bytes().splitlines()) for path in directory.glob("*.jsonl"))
