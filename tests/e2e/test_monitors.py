"""Monitors on a real broker, with intervals of seconds: what a person publishes, and what comes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.product import MailServer, Product
from tests.e2e.watched_tasks import INTERVAL, checks_of, wait_until_nothing_is_checked


def console(product: Product, topic: str, line: str) -> None:
    """Type a line into the console producer."""
    command = [sys.executable, "-m", "streamnotify", "kafka", "produce", topic]
    subprocess.run(command, input=f"{line}\n", text=True, env=product.env, check=True, timeout=60)


def test_a_monitor_and_events_typed_into_the_console_become_an_alert_and_then_none(
    product: Product, mail_server: MailServer
) -> None:
    product.start(1)
    product.wait_until_running(1)
    record = (
        'typed|{"interval": {"every": 2, "period": "seconds"}, "args": [{"typed-task": {"expected_statuses":'
        ' ["Completed"], "notify_to": ["typed@example.com"], "lookback_hours": 1}}]}'
    )
    console(product, "monitor-configs", record)
    product.wait_for(lambda: mail_server.mails_to("typed@example.com") != [], 30)
    mail = mail_server.mails_to("typed@example.com")[0]
    assert mail["Subject"] == "[ALERT] typed-task Has Not Executed"
    console(product, "task-events", '{"task_name": "typed-task", "status": "Completed"}')
    product.wait_for(lambda: checks_of(product, "typed-task")[-1]["verdict"] == "ok", 30)
    console(product, "monitor-configs", "typed|null")
    wait_until_nothing_is_checked(product)
    assert "Task status alert sent successfully to typed@example.com for task typed-task" in product.log(1).read_text()


def test_a_record_that_cannot_be_used_is_refused_with_its_reason_and_the_last_good_one_stays(product: Product) -> None:
    product.start(1)
    product.wait_until_running(1)
    product.monitor(
        "watch", {"t": {"expected_statuses": ["Completed"], "notify_to": ["a@example.com"]}}, interval=INTERVAL
    )
    product.wait_for(lambda: checks_of(product, "t") != [], 30)
    product.monitor("watch", {"t": {"expected_statuses": ["Done"]}}, interval=INTERVAL)
    product.wait_for(lambda: any(result["verdict"] == "refused" for result in product.results()), 30)
    [refused] = [result for result in product.results() if result["verdict"] == "refused"]
    assert "tasks.t.expected_statuses" in refused["reason"]
    made = len(checks_of(product, "t"))
    product.wait_for(lambda: len(checks_of(product, "t")) > made, 30)
    [(value, headers)] = product.dead_letters()
    assert b"Done" in (value or b"")
    assert "expected_statuses" in headers["sn-field"]


@pytest.mark.parametrize("after", ["nothing", "more events"])
def test_where_events_expired_before_they_were_read_a_check_does_not_say_that_a_task_did_not_run(
    product: Product, mail_server: MailServer, after: str
) -> None:
    product.start(1)
    product.wait_until_running(1)
    event = {"task_name": "t", "status": "Completed"}
    product.publish(event, key="t")
    product.flush()
    product.wait_for(lambda: product.runs() != {})
    assert product.stop(1) == 0
    product.publish({**event, "task_id": "lost"}, key="t")
    product.flush()
    product.expire("task-events")
    if after == "more events":
        product.publish({**event, "task_name": "other"}, key="t")
    expected = {"expected_statuses": ["Completed"], "notify_to": ["a@example.com"], "lookback_hours": 1}
    product.monitor("watch", {"never-ran": expected}, interval=INTERVAL)
    product.start(1)
    product.wait_for(lambda: checks_of(product, "never-ran") != [])
    assert {check["verdict"] for check in checks_of(product, "never-ran")} == {"unknown"}
    assert mail_server.mails_to("a@example.com") == []
