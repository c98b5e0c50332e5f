"""Tasks that are healthy or dead, watched by a monitor with an interval of seconds, and what must come of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.e2e.product import MailServer, Product

HEALTHY = [f"healthy-{number}" for number in range(4)]
DEAD = [f"dead-{number}" for number in range(2)]
EVERY_S = 2
INTERVAL = {"every": EVERY_S, "period": "seconds"}
# Of a healthy task there is an event each half second; a check may find the newest one this old.
LOOKBACK_HOURS = 4 / 3600


def watch(product: Product) -> None:
    """Monitor the healthy tasks and the dead ones."""
    expected = {"expected_statuses": ["Completed"], "lookback_hours": LOOKBACK_HOURS}
    tasks = {name: {**expected, "notify_to": [f"{name}@example.com"]} for name in (*HEALTHY, *DEAD)}
    product.monitor("watch", tasks, interval=INTERVAL)


def stop_watching(product: Product) -> None:
    """Remove the monitor, and wait until no check comes any more."""
    product.publish(None, key="watch", topic="monitor-configs")
    product.flush()
    wait_until_nothing_is_checked(product)


def wait_until_nothing_is_checked(product: Product) -> None:
    """Wait until no check has been due for some time."""
    quiet = timedelta(seconds=4 * EVERY_S)
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

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        product.flush()


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


def lateness(product: Product) -> timedelta:
    """How long after it was due the latest check was made."""
    latest = product.results()[-1]
    return instant(latest["evaluated_at"]) - instant(latest["check_time"])


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


def assert_nothing_false_missed_or_repeated(product: Product, mail_server: MailServer) -> None:
    """No healthy task was told of, each check came once, and so did the mail of each that failed."""
    assert_no_false_alarm(product, mail_server)
    assert_each_check_was_made_once(product)
    assert_each_failure_was_mailed_once(product, mail_server)


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
