"""Monitors while workers die and publishers hang: alerts that are due come once, and no false one ever comes."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Producer

from tests.e2e.product import PARTITIONS, MailServer, Product
from tests.e2e.watched_tasks import (
    assert_each_check_was_made_once,
    assert_each_failure_was_mailed_once,
    assert_no_false_alarm,
    watched,
)


def test_events_that_arrive_while_no_worker_runs_are_seen_by_the_checks_that_were_due_then(
    product: Product, mail_server: MailServer
) -> None:
    """No false alarm after an outage of ours; what truly did not run is told."""
    with watched(product):
        product.kill(1)
        time.sleep(12)
        product.start(1)
    assert_no_false_alarm(product, mail_server)
    assert_each_check_was_made_once(product)
    assert_each_failure_was_mailed_once(product, mail_server)


def test_what_lies_behind_an_open_transaction_is_waited_for(product: Product, mail_server: MailServer) -> None:
    """The healthy tasks' events cannot be read, for three times as long as a check looks back: no false alarm."""
    producer = Producer({"bootstrap.servers": product.bootstrap_servers, "transactional.id": product.prefix})
    producer.init_transactions()
    with watched(product):
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            event = json.dumps({"task_name": "transactional", "status": "Completed"})
            producer.produce(f"{product.prefix}task-events", event, partition=partition)
        producer.flush()
        time.sleep(12)
        producer.commit_transaction()
    assert_no_false_alarm(product, mail_server)
    assert_each_check_was_made_once(product)
    assert_each_failure_was_mailed_once(product, mail_server)


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
    assert_no_false_alarm(product, mail_server)
    assert_each_check_was_made_once(product)
    assert_each_failure_was_mailed_once(product, mail_server)
