"""Monitors while workers die and publishers hang: alerts that are due come once, and no false one ever comes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streamnotify.domain.checks import REPORTED_LATENESS
from tests.conftest import OwnKafka
from tests.e2e.product import PARTITIONS, MailServer, Product
from tests.e2e.watched_tasks import (
    assert_nothing_false_missed_or_repeated,
    lateness,
    watched,
)

ROOT = "root@example.com"  # a superuser


@pytest.mark.parametrize("seconds", [12, pytest.param(7200, marks=[pytest.mark.soak, pytest.mark.timeout(9000)])])
def test_events_that_arrive_while_no_worker_runs_are_seen_by_the_checks_that_were_due_then(
    product: Product, mail_server: MailServer, seconds: int
) -> None:
    """No false alarm after an outage of ours; what truly did not run is told, and a long outage is told of once."""
    product.publish({"email": ROOT, "is_superuser": True}, key="root", topic="users")
    product.flush()
    with watched(product):
        product.kill(1)
        time.sleep(seconds)
        product.start(1)
    assert_nothing_false_missed_or_repeated(product, mail_server)
    told = 1 if seconds > REPORTED_LATENESS.total_seconds() else 0
    product.wait_for(lambda: len(mail_server.mails_to(ROOT)) >= told)
    assert len(mail_server.mails_to(ROOT)) == told


@pytest.mark.parametrize("blocked", [[0], pytest.param(range(PARTITIONS), marks=pytest.mark.soak)], ids=["one", "all"])
def test_what_lies_behind_an_open_transaction_is_waited_for(
    product: Product, mail_server: MailServer, blocked: Sequence[int]
) -> None:
    """Healthy tasks' events cannot be read, for three times as long as a check looks back: no false alarm."""
    producer = Producer({"bootstrap.servers": product.bootstrap_servers, "transactional.id": product.prefix})
    producer.init_transactions()
    with watched(product):
        producer.begin_transaction()
        for partition in blocked:
            event = json.dumps({"task_name": "transactional", "status": "Completed"})
            producer.produce(f"{product.prefix}task-events", event, partition=partition)
        producer.flush()
        time.sleep(12)
        producer.commit_transaction()
    assert_nothing_false_missed_or_repeated(product, mail_server)


@pytest.mark.parametrize("lag", [8, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(2400)])])
def test_checks_wait_for_an_ingest_that_lags_far_behind(
    product: Product, mail_server: MailServer, tmp_path: Path, lag: int
) -> None:
    slowness = tmp_path / "seconds-a-record"
    with watched(product):
        product.stop(1)
        slowness.write_text("0.7")  # of each partition's records; there are 2 a second and more
        product.start(1, engine="tests.e2e.slow_ingest_engine", SLOW_INGEST=str(slowness))
        product.wait_for(lambda: lateness(product) > timedelta(seconds=lag), 8 * lag + 60, pause=1)
        slowness.unlink()
    assert_nothing_false_missed_or_repeated(product, mail_server)


@pytest.mark.parametrize("seconds", [8, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(2400)])])
def test_a_broker_that_was_away_makes_no_false_alarm(
    own_kafka: OwnKafka, mail_server: MailServer, tmp_path: Path, seconds: int
) -> None:
    """Publishers keep what they have to say meanwhile, and say it when they have found the broker again."""
    broker = own_kafka()
    broker.start()
    with closing(Product(broker.bootstrap_servers, "away", tmp_path, mail_server.port)) as product:
        with watched(product):
            broker.kill()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(1)
                product.revive()
            broker.start()
            product.revive()
        assert_nothing_false_missed_or_repeated(product, mail_server)


@pytest.mark.parametrize("seconds", [10, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_kills_and_rebalances_around_due_times_change_no_verdict_and_repeat_no_mail(
    product: Product, mail_server: MailServer, seconds: int
) -> None:
    with watched(product):
        product.start(2)
        until, turn = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            turn += 1
            time.sleep(3.3)  # against an interval of 2 s: at every point of it in turn
            product.kill(1 + turn % 2, lose_state=turn % 3 == 0)
            product.start(1 + turn % 2)
    assert_nothing_false_missed_or_repeated(product, mail_server)
