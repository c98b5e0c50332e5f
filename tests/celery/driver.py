"""``python -m tests.celery.driver CASE…`` sends the tasks of cases to a worker that is, or soon will be, ready.

A process of its own, since what happens when a task is published belongs to the release of Celery, too. Task ids are
the cases' names, so they are the same in every recording.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import chain, chord, group

from tests.celery import app as tasks
from tests.celery import documented
from tests.celery.app import QUEUE, READY, TENANT, app
from tests.celery.cases import RECYCLED

LIMIT_S = 3  # long enough for a task to begin on a busy machine

SENDERS: dict[str, Callable[[], object]] = {
    "success": lambda: send(tasks.mailed, "success"),
    "silent": lambda: send(tasks.answer, "silent"),
    "exception": lambda: send(tasks.fails, "exception"),
    "declared_exception": lambda: send(tasks.declared, "declared_exception"),
    "soft_limit": lambda: send(tasks.sleeps, "soft_limit", soft_time_limit=LIMIT_S),
    "stopped_cold": lambda: send(tasks.sleeps, "stopped_cold"),
    "stopped_cold_unacknowledged": lambda: send(tasks.sleeps_and_comes_again, "stopped_cold_unacknowledged"),
    "hard_limit": lambda: send(tasks.sleeps, "hard_limit", time_limit=LIMIT_S),
    "retries_then_success": lambda: send(tasks.tries, "retries_then_success", 2),
    "retries_exhausted": lambda: send(tasks.gives_up, "retries_exhausted"),
    "dont_autoretry_for": lambda: send(tasks.never_again, "dont_autoretry_for"),
    "unserialisable_result": lambda: send(tasks.unserialisable, "unserialisable_result"),
    "killed": lambda: send(tasks.killed, "killed"),
    "killed_on_second_attempt": lambda: send(tasks.killed, "killed_on_second_attempt", 1),
    "reject_on_worker_lost": lambda: send(tasks.redelivered, "reject_on_worker_lost"),
    "exits": lambda: send(tasks.exits, "exits"),
    "expired": lambda: send(tasks.answer, "expired", expires=datetime.now(UTC) - timedelta(minutes=1)),
    "rejects": lambda: send(tasks.rejects, "rejects"),
    "ignores": lambda: send(tasks.ignores, "ignores"),
    "replaces": lambda: send(tasks.replaces, "replaces"),
    "eta": lambda: send(tasks.answer, "eta", countdown=1),
    "unknown_task": lambda: app.send_task("no-such-task", task_id="unknown_task", headers=TENANT),
    "progress": lambda: send(tasks.reports, "progress"),
    "published_by_a_task": lambda: send(tasks.publishes, "published_by_a_task", "published_by_a_task.child"),
    "eager": lambda: tasks.mailed.apply(task_id="eager", headers=TENANT),
    "documented": lambda: send(documented.user_facing_task, "documented", {"any": "parameters"}),
    "documented_silent": lambda: send(documented.background_task, "documented_silent", {"any": "parameters"}),
    "documented_legacy": lambda: send(documented.legacy_task, "documented_legacy", {"any": "parameters"}),
    "documented_results": lambda: send(documented.test_task, "documented_results"),
    "documented_chord": lambda: send(documented.orchestrates, "documented_chord"),
    "direct_call": tasks.answer,
}


def send(task: Any, task_id: str, *args: Any, **options: Any) -> Any:
    """Send a task on behalf of the tenant."""
    return task.apply_async(args, task_id=task_id, headers=TENANT, **options)


def case(sender: Callable[[], object]) -> Callable[[], object]:
    """A case of this name."""
    SENDERS[sender.__name__] = sender
    return sender


def revoke(task_id: str, **options: Any) -> None:
    """Revoke a task, and wait until the worker knows."""
    assert app.control.revoke(task_id, reply=True, timeout=20, limit=1, **options)


@case
def revoked_before_start() -> None:
    revoke("revoked_before_start")
    send(tasks.answer, "revoked_before_start")


@case
def terminated() -> None:
    send(tasks.sleeps, "terminated")
    assert app.backend.client.blpop(["began:terminated"], 30)
    revoke("terminated", terminate=True)


@case
def terminated_by_sigkill() -> None:
    send(tasks.sleeps, "terminated_by_sigkill")
    assert app.backend.client.blpop(["began:terminated_by_sigkill"], 30)
    revoke("terminated_by_sigkill", terminate=True, signal="SIGKILL")


@case
def chains() -> None:
    steps = [tasks.answer.s().set(task_id=f"chains.{number}") for number in (1, 2, 3)]
    chain(*steps).apply_async(headers=TENANT)


@case
def groups() -> None:
    group(tasks.answer.s().set(task_id=f"groups.{number}") for number in (1, 2)).apply_async(headers=TENANT)


@case
def links() -> None:
    then = tasks.answer.si().set(task_id="links.then")
    send(tasks.answer, "links", link=then, link_error=tasks.notes.s().set(task_id="links.never"))


@case
def link_errors() -> None:
    otherwise = tasks.notes.s().set(task_id="link_errors.otherwise")
    send(tasks.fails, "link_errors", link=tasks.answer.si().set(task_id="link_errors.never"), link_error=otherwise)


@case
def chords() -> None:
    members = [tasks.answer.s().set(task_id=f"chords.{number}", headers=TENANT) for number in (1, 2)]
    chord(members)(tasks.collects.s().set(task_id="chords.body"))


@case
def chord_member_fails() -> None:
    members = [tasks.fails_silently.s().set(task_id="chord_member_fails.1", headers=TENANT)]
    chord(members)(tasks.collects.s().set(task_id="chord_member_fails.body"))


@case
def chord_member_fails_and_is_told() -> None:
    members = [tasks.fails_silently.s().set(task_id="chord_member_fails_and_is_told.1", headers=TENANT)]
    chord(members)(tasks.collects_or_says.s().set(task_id="chord_member_fails_and_is_told.body"))


@case
def invalid_message() -> None:
    headers = {"id": "invalid_message", "task": "answer", "lang": "py"} | TENANT
    put(([], {}, {}), headers=headers, serializer="pickle")  # which the worker does not accept


@case
def unknown_message() -> None:
    put({"hello": "world"}, serializer="json")


@case
def recycling() -> None:
    for number in range(RECYCLED):
        send(tasks.answer, f"recycling.{number}")


@case
def beat() -> None:
    """Beat sends it."""


def put(body: object, **options: Any) -> None:
    """Put a message into the worker's queue as something other than Celery would."""
    with app.connection_for_write() as connection:
        connection.Producer().publish(body, routing_key=QUEUE, **options)


def main() -> None:
    """Send the cases that the command line names."""
    assert app.backend.client.blpop([READY], 60), "the worker does not get ready"
    for name in sys.argv[1:]:
        SENDERS[name]()
    print("sent", flush=True)


if __name__ == "__main__":
    main()
