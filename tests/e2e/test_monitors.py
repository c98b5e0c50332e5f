"""Monitors on a real broker, with intervals of seconds: alerts that are due come once, and no false one ever comes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.product import MailServer, Product

HEALTHY = [f"healthy-{number}" for number in range(4)]
DEAD = [f"dead-{number}" for number in range(2)]
EVERY_S = 2
INTERVAL = {"every": EVERY_S, "period": "seconds"}
# Of a healthy task there is an event each half second; a check may find the newest one this old.
LOOKBACK_HOURS = 4 / 3600


def console(product: Product, topic: str, line: str) -> None:
    """Type a line into the console producer."""
    command = [sys.executable, "-m", "streamnotify", "kafka", "produce", topic]
    subprocess.run(command, input=f"{line}\n", text=True, env=product.env, check=True, timeout=60)


def watch(product: Product) -> None:
    """Monitor the healthy tasks and the dead ones."""
    expected = {"expected_statuses": ["Completed"], "lookback_hours": LOOKBACK_HOURS}
    tasks = {name: {**expected, "notify_to": [f"{name}@example.com"]} for name in (*HEALTHY, *DEAD)}
    product.monitor("watch", tasks, interval=INTERVAL)


def stop_watching(product: Product) -> None:
    """Remove the monitor, and wait until no check comes any more."""
    product.publish(None, key="watch", topic="monitor-configs")
    product.flush()
    quiet = timedelta(seconds=5 * EVERY_S)
    product.wait_for(lambda: instant(product.results()[-1]["check_time"]) < datetime.now().astimezone() - quiet)


@contextmanager
def healthy_tasks_running(product: Product) -> Iterator[None]:
    """Each of them completes a run every half second, whatever happens to the workers."""
    over = threading.Event()

    def run() -> None:
        number = 0
        while not over.wait(0.5):
            number += 1
            for name in HEALTHY:
                product.publish({"task_name": name, "task_id": f"{number}", "status": "Completed"}, key=name)
            product.flush()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def watched(product: Product) -> Iterator[None]:
    """Worker 1 runs, the healthy tasks too, and all are checked; in the end, and for good, no more."""
    product.start(1)
    product.wait_until_running(1)
    with healthy_tasks_running(product):
        time.sleep(5)  # the healthy tasks' past: longer than a check looks back
        watch(product)
        product.wait_for(lambda: checks_of(product, DEAD[0]) != [], 30)
        yield
        settled = datetime.now().astimezone()
        product.wait_for(lambda: all(was_checked(product, name, settled) for name in (*HEALTHY, *DEAD)), 90, pause=1)
        stop_watching(product)


def was_checked(product: Product, task_name: str, after: datetime) -> bool:
    return any(instant(check["check_time"]) > after for check in checks_of(product, task_name))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def checks_of(product: Product, task_name: str) -> list[dict[str, Any]]:
    return [result for result in product.results() if result.get("task_name") == task_name]


def due_times(results: list[dict[str, Any]]) -> list[datetime]:
    """When the checks were due that these records stand for, skipped ones too."""
    times = []
    for result in results:
        if result["verdict"] == "skipped":
            first = instant(result["first"])
            times += [first + timedelta(seconds=EVERY_S) * n for n in range(result["count"])]
        else:
            times.append(instant(result["check_time"]))
    return sorted(times)


def assert_each_check_was_made_once(product: Product) -> None:
    for name in (*HEALTHY, *DEAD):
        times = due_times(checks_of(product, name))
        steps = {later - earlier for earlier, later in pairwise(times)}
        assert steps == {timedelta(seconds=EVERY_S)}, f"{name}: {Counter(steps)}"


def assert_no_false_alarm(product: Product, mail_server: MailServer) -> None:
    wrong = [result for result in product.results() if result["task_name"] in HEALTHY and result["verdict"] != "ok"]
    assert [result for result in wrong if result["verdict"] != "skipped"] == []
    assert [mail for name in HEALTHY for mail in mail_server.mails_to(f"{name}@example.com")] == []


def assert_each_failure_was_mailed_once(product: Product, mail_server: MailServer) -> None:
    for name in DEAD:
        failed = [check for check in checks_of(product, name) if check["verdict"] == "not_executed"]
        product.wait_for(lambda: len(mail_server.mails_to(f"{name}@example.com")) >= len(failed), 60)  # noqa: B023
        ids = [mail["Message-ID"] for mail in mail_server.mails_to(f"{name}@example.com")]
        assert len(ids) == len(set(ids)) == len(failed)
        sent = [
            mail_server.deliveries[message_id.strip("<>")] or mail_server.deliveries[message_id] for message_id in ids
        ]
        assert all(len(set(contents)) == 1 for contents in sent), "a repeated mail differs from its first"


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
    product.wait_for(
        lambda: instant(checks_of(product, "typed-task")[-1]["check_time"]).timestamp() < time.time() - 10, 30
    )
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


@pytest.mark.parametrize("seconds", [30, pytest.param(600, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
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
