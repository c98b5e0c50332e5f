"""Must hold 1 and 3 to the end: a real Celery worker, the real product, and the mails that a person gets.

The same cases as in the failure matrix; here the question is who is told, how often, and under which subject.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.celery.cases import CASES, ENDS, RELEASES, Worker
from tests.celery.celery_workers import CeleryProcesses, Event, read_all
from tests.e2e.product import MailServer, Product, a_running_product, text_of

ADDRESS = "ann@example.com"  # of the user that every case is sent for
CHORD = "documented_chord"  # the ids of its tasks are Celery's

# What the decorator and the outcome promise; a case that is not here mails nothing.
SUBJECTS = {
    "success": "Task Complete: mailed - Success",
    "exception": "Task Completed: fails - Failed",
    "declared_exception": "Task Completed: declared - Failed",
    "soft_limit": "Task Completed: sleeps - Failed",
    "hard_limit": "Task Completed: sleeps - Failed",
    "retries_then_success": "Task Completed: tries - Success",
    "retries_exhausted": "Task Completed: gives-up - Failed",
    "dont_autoretry_for": "Task Completed: never-again - Failed",
    "unserialisable_result": "Task Completed: unserialisable - Failed",
    "killed": "Task Completed: killed - Failed",
    "killed_on_second_attempt": "Task Completed: killed - Failed",
    "reject_on_worker_lost": "Task Completed: redelivered - Success",
    "exits": "Task Completed: exits - Failed",
    "terminated": "Task Completed: sleeps - Cancelled",
    "terminated_by_sigkill": "Task Completed: sleeps - Cancelled",
    "rejects": "Task Completed: rejects - Failed",
    "link_errors": "Task Completed: fails - Failed",
    "chords.body": "Task Completed: collects - Success",
    "chord_member_fails_and_is_told.body": "Task Completed: collects-or-says - Failed",
    "documented": "Task Complete: your.user.facing.task - Success",
    "documented_legacy": "Task Completed: your.legacy.task - Success",
    "documented_results": "Test Execution Complete: API Tests - Success",
    CHORD: "Task Completed: tests.celery.documented.collect_results_task - Success",
}


@dataclass(frozen=True, slots=True)
class Told:
    """What came of all cases.

    Args:
        subjects: of the mails, by task id; those about the documented chord's tasks under its own name.
        texts: likewise.
        events: what the worker published.
        kept: for how many notifications the product has steps on notification-status.
    """

    subjects: dict[str, list[str]]
    texts: dict[str, str]
    events: list[Event]
    kept: int


@pytest.fixture(scope="module")
def told(kafka: EmbeddedKafka, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """All cases on one worker of the latest release, once the product has taken in every event."""
    directory = tmp_path_factory.mktemp("mails")
    worker = Worker(RELEASES[-1], "prefork")
    cases = [case.name for case in CASES if case.runs_on(worker) and case.name != "beat"] + [CHORD]
    with closing(MailServer()) as server, a_running_product(kafka, directory, server.port) as product:
        product.publish({"user_id": "ann", "email": ADDRESS, "name": "Ann"}, key="ann", topic="users")
        product.flush()
        with closing(
            CeleryProcesses(worker, redis_url, product.bootstrap_servers, product.prefix, directory)
        ) as processes:
            processes.start_worker()
            processes.start_driver(*cases)
            product.wait_for(lambda: len(server.recipients) >= len(SUBJECTS), 90)
            processes.stop()
        events = read_all(product.bootstrap_servers, processes.topic)
        product.wait_for(lambda: is_taken_in(events, product), 60)
        yield told_by(server, events, product)


def is_taken_in(events: list[Event], product: Product) -> bool:
    """Whether every run that has ended is known to have, and every notification has gone out."""
    ended = {(event["task_name"], event["task_id"]) for event in events if event["status"] in ENDS}
    known = {run for run, state in product.runs().items() if state.is_over}
    steps = defaultdict(set)
    for step in product.statuses():
        steps[step["notification_id"]].add(step["status"])
    return ended <= known and all("sent" in reached for reached in steps.values())


def told_by(server: MailServer, events: list[Event], product: Product) -> Told:
    subjects, texts = defaultdict(list), {}
    for mail in server.mails_to(ADDRESS):
        text = text_of(mail)
        found = re.search(r"Task ID: (\S+)", text)
        assert found is not None, text
        task_id = found[1] if found[1].partition(".")[0] in {case.name for case in CASES} else CHORD
        subjects[task_id].append(str(mail["Subject"]))
        texts[task_id] = text
    return Told(dict(subjects), texts, events, len({step["notification_id"] for step in product.statuses()}))


def test_each_case_sends_the_one_mail_it_promises_or_none(told: Told) -> None:
    assert told.subjects == {task_id: [subject] for task_id, subject in SUBJECTS.items()}
    assert told.kept == len(SUBJECTS)


def test_a_time_limit_that_celery_reports_twice_is_one_mail(told: Told) -> None:
    reports = [event for event in told.events if event["task_id"] == "hard_limit" and event["status"] in ENDS]
    assert len(reports) == 2
    assert told.subjects["hard_limit"] == ["Task Completed: sleeps - Failed"]


def test_a_mail_says_who_it_is_for_and_why_the_task_failed(told: Told) -> None:
    assert "Hello Ann," in told.texts["killed"]
    assert "SIGKILL" in told.texts["killed"]
    assert "time limit of 3 s exceeded" in told.texts["hard_limit"]
    assert "attempt 2 failed" in told.texts["retries_exhausted"]
    assert "chord member fails-silently failed: attempt 2 failed" in told.texts["chord_member_fails_and_is_told.body"]


def test_what_a_task_returns_is_in_its_mail(told: Told) -> None:
    assert "Test Run ID: optional-for-links" in told.texts["documented"]
    assert re.search(r"Tests Passed: 8", told.texts["documented_results"])
    assert "API Tests" in told.texts["documented_results"]
