"""Feedback through the whole product: an address that has bounced gets no mail until an operator lets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.e2e.product import MailServer, Product, a_running_product
from tests.wire import dsn_samples

ANN = "ann@example.org"  # of the sample


@pytest.fixture(scope="module")
def product(
    kafka: EmbeddedKafka, shared_mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    with a_running_product(kafka, tmp_path_factory.mktemp("feedback"), shared_mail_server.port) as running:
        yield running


def command(product: Product, *arguments: str, stdin: str = "") -> str:
    """What a command prints; it must end with exit code 0."""
    argv = [sys.executable, "-m", "streamnotify", *arguments]
    ended = subprocess.run(argv, input=stdin, capture_output=True, text=True, env=product.env, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def suppressed(product: Product) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command(product, "suppressions", "list", "--json"))
    return found


def mailed(product: Product, task_id: str) -> str:
    """What became of the mail about a task, once that is decided."""

    def ends() -> list[dict[str, Any]]:
        found = [status for status in product.statuses() if status.get("task_id") == task_id]
        return [status for status in found if status["status"] in ("sent", "suppressed")]

    event = {"task_name": "t", "task_id": task_id, "status": "Completed", "notify": {"email": ANN}}
    product.publish(event, key=task_id)
    product.flush()
    product.wait_for(lambda: ends() != [], 30)
    return str(ends()[0]["status"])


def test_a_mail_servers_report_stops_the_mails_and_an_operator_lets_them_go_again(
    product: Product, shared_mail_server: MailServer
) -> None:
    assert mailed(product, "before") == "sent"
    command(product, "feedback", "dsn", "-", stdin=dsn_samples.POSTFIX.replace("2024", "2099"))
    product.wait_for(lambda: suppressed(product) != [], 30)
    [held] = suppressed(product)
    assert (held["address"], held["cause"], held["source"]) == (ANN, "hard_bounce", "dsn")
    assert mailed(product, "while") == "suppressed"
    bounced = [status for status in product.statuses() if status["status"] == "bounced"]
    assert [status["notification_id"] for status in bounced] == [dsn_samples.NOTIFICATION]

    command(product, "suppressions", "remove", ANN)
    product.wait_for(lambda: suppressed(product) == [], 30)
    assert mailed(product, "after") == "sent"
    assert len(shared_mail_server.mails_to(ANN)) == 2


def test_a_bad_event_becomes_a_dead_letter_and_stops_nothing(product: Product) -> None:
    product.publish({"event": "exploded", "email": ANN}, topic="notification-feedback")
    product.flush()
    product.wait_for(lambda: product.dead_letters() != [], 30)
    [(_, headers)] = product.dead_letters()
    assert (headers["sn-stage"], headers["sn-field"]) == ("feedback", "event")
