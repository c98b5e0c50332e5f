"""The Celery application of these tests: one small task for every way a run can go.

A worker, the driver and beat import it, each in a process of its own and under the release of Celery that is asked.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject
from celery.signals import worker_ready

from streamnotify import sdk
from streamnotify.celery import BaseTask, EmailTemplate, email_notification, install

READY = "worker-ready"  # a Redis list that the worker pushes to once it takes tasks
QUEUE = "celery"
TENANT = {"organization_id": "org-a", "user_id": "ann"}

app = Celery("tests.celery.app", broker=os.environ["TESTS_REDIS"], backend=os.environ["TESTS_REDIS"])
app.conf.update(
    task_default_queue=QUEUE,
    worker_hijack_root_logger=False,
    worker_lost_wait=0.2,  # seconds until a task whose child is gone counts as lost; Celery's default is 10
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    imports=["tests.celery.documented"],
    beat_schedule={"every second": {"task": "answer", "schedule": 1.0, "options": {"task_id": "beat"}}},
)
install(app)


@worker_ready.connect(weak=False)
def _ready(**_kwargs: Any) -> None:
    app.backend.client.lpush(READY, 1)


def let_events_leave() -> None:
    """A kill loses what this process published within the last 5 ms (K6): also of tasks it ran before."""
    assert sdk.default_publisher().wait(30) == 0


@app.task(name="answer")
def answer(*_args: Any) -> dict[str, Any]:
    return {"answer": 42}


@app.task(name="notes")
def notes(task_id: str) -> str:
    """An errback that Celery runs as a task; one that took more arguments would just be called."""
    return task_id


@email_notification(
    template=EmailTemplate.TASK_COMPLETION, subject_template="Task Complete: {task_name} - {status.title()}"
)
@app.task(name="mailed", base=BaseTask)
def mailed(*_args: Any) -> dict[str, Any]:
    return {"test_run_id": "42", "status": "x", "error_message": "y", "total_tests": 10, "n": None}


@email_notification()
@app.task(name="fails", base=BaseTask)
def fails(*_args: Any) -> None:
    raise ValueError("no such place")


@email_notification()
@app.task(name="declared", throws=(KeyError,))
def declared() -> None:
    raise KeyError("gone")


@email_notification(on=["success", "failure", "cancelled"])
@app.task(name="sleeps", bind=True)
def sleeps(self: Any) -> None:
    """Until a time limit or a signal ends it; says that it has begun."""
    let_events_leave()
    app.backend.client.lpush(f"began:{self.request.id}", 1)
    time.sleep(60)


@app.task(name="sleeps-and-comes-again", bind=True, acks_late=True)
def sleeps_and_comes_again(self: Any) -> str:
    """As ``sleeps`` at its first delivery; the broker delivers it again."""
    if not self.request.delivery_info.get("redelivered"):
        let_events_leave()
        time.sleep(60)
    return "done"


@email_notification()
@app.task(name="tries", bind=True, autoretry_for=(ValueError,), dont_autoretry_for=(KeyError,), default_retry_delay=0)
def tries(self: Any, fails_first: int) -> str:
    """Fails so many attempts, then succeeds."""
    if self.request.retries < fails_first:
        raise ValueError(f"attempt {self.request.retries + 1} failed")
    return "done"


@app.task(name="fails-silently", bind=True, autoretry_for=(Exception,), max_retries=1, default_retry_delay=0)
def fails_silently(self: Any) -> None:
    raise ValueError(f"attempt {self.request.retries + 1} failed")


@email_notification()
@app.task(name="gives-up", bind=True, autoretry_for=(Exception,), max_retries=1, default_retry_delay=0)
def gives_up(self: Any) -> None:
    raise ValueError(f"attempt {self.request.retries + 1} failed")


@email_notification()
@app.task(name="never-again", autoretry_for=(Exception,), dont_autoretry_for=(KeyError,), default_retry_delay=0)
def never_again() -> None:
    raise KeyError("gone")


@email_notification()
@app.task(name="unserialisable")
def unserialisable() -> object:
    return {"answer": object}


@email_notification()
@app.task(name="killed", bind=True, autoretry_for=(ValueError,), default_retry_delay=0)
def killed(self: Any, fails_first: int = 0) -> None:
    """Fails so many attempts, then its process is killed as by the kernel that is out of memory."""
    if self.request.retries < fails_first:
        raise ValueError(f"attempt {self.request.retries + 1} failed")
    let_events_leave()
    os.kill(os.getpid(), signal.SIGKILL)


@email_notification()
@app.task(name="redelivered", bind=True, acks_late=True, reject_on_worker_lost=True)
def redelivered(self: Any) -> str:
    if not self.request.delivery_info.get("redelivered"):
        let_events_leave()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


@email_notification()
@app.task(name="exits")
def exits() -> None:
    raise SystemExit(3)


@email_notification()
@app.task(name="rejects", acks_late=True)
def rejects() -> None:
    raise Reject("not for me", requeue=False)


@email_notification()
@app.task(name="ignores")
def ignores() -> None:
    raise Ignore


@email_notification()
@app.task(name="replaces", bind=True)
def replaces(self: Any) -> None:
    raise self.replace(answer.s())


@app.task(name="publishes")
def publishes(child: str) -> None:
    """Publishes another task, and says nothing about whose it is."""
    answer.apply_async(task_id=child)


@app.task(name="reports")
def reports() -> None:
    sdk.progress(50, "half way")


@email_notification(template=EmailTemplate.TEST_EXECUTION_SUMMARY)
@app.task(name="collects", base=BaseTask)
def collects(results: list[Any]) -> dict[str, Any]:
    return {"total_tests": len(results)}


@email_notification(template=EmailTemplate.TEST_EXECUTION_SUMMARY, on_chord_error=True)
@app.task(name="collects-or-says", base=BaseTask)
def collects_or_says(results: list[Any]) -> dict[str, Any]:
    return {"total_tests": len(results)}
