"""What travels with a task: its tenant, its first submission, its schedule, and nothing of anybody else's."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from celery import chain, chord, signals
from celery.app.task import Context as Request
from celery.beat import Scheduler, Service
from celery.contrib.testing.mocks import TaskMessage
from celery.worker.request import Request as WorkerRequest

from tests.celery.in_process import App, RecordingPublisher, an_app, run

TENANT = {"organization_id": "org-a", "user_id": "ann"}
SENT = "x-streamnotify-sent"


@pytest.fixture
def app() -> App:
    return an_app(RecordingPublisher())


@pytest.fixture
def sent() -> Any:
    """The headers of every task published meanwhile, by name."""
    seen: dict[str, dict[str, Any]] = {}

    def see(*, headers: dict[str, Any], **_: Any) -> None:
        seen[headers["task"]] = headers

    signals.after_task_publish.connect(see, weak=False)
    yield seen
    signals.after_task_publish.disconnect(see)


def tenant_of(headers: dict[str, Any]) -> tuple[Any, Any]:
    return headers.get("organization_id"), headers.get("user_id")


def test_a_submitted_task_says_when_it_was_first_submitted(app: App, sent: Any) -> None:
    task = app.task(lambda: 42, name="answer")

    task.delay()
    task.apply_async(headers={SENT: "2026-11-22T10:00:00.000+00:00"}, retries=1)

    assert sent["answer"][SENT] == "2026-11-22T10:00:00.000+00:00"


def test_headers_of_others_stay_as_they_are(app: App, sent: Any) -> None:
    theirs = {"traceparent": "00-1-2-01", "headers": {"sentry-trace": "1-2"}, "organization_id": "org-b", "n": 7}
    child = app.task(lambda: 42, name="child")
    parent = app.task(lambda: child.apply_async(headers=dict(theirs)).id, name="parent")

    run(parent, **TENANT)

    assert {key: sent["child"][key] for key in theirs} == theirs


def test_what_a_task_starts_inherits_its_tenant(app: App, sent: Any) -> None:
    # Celery calls an errback that takes more than an id, and makes a task of one that does not.
    names = ("child", "linked", "errback", "first", "second", "member", "body")
    tasks = {name: app.task(lambda _=None: 42, name=name) for name in names}

    @app.task(name="parent")
    def parent() -> None:
        tasks["child"].delay()
        chain(tasks["first"].s(), tasks["second"].s()).delay()
        chord([tasks["member"].s(), tasks["member"].s()])(tasks["body"].s())

    run(parent, callbacks=[tasks["linked"].s()], **TENANT)
    run(tasks["first"], chain=[tasks["second"].s()], **{key: sent["first"][key] for key in TENANT})
    run(app.task(lambda: 1 / 0, name="fails"), errbacks=[tasks["errback"].s()], **TENANT)

    published = ("child", "linked", "errback", "first", "second", "member")
    assert {name: tenant_of(sent[name]) for name in published} == dict.fromkeys(published, ("org-a", "ann"))


def test_a_tenant_given_by_arguments_is_inherited_too(app: App, sent: Any) -> None:
    child = app.task(lambda: 42, name="child")
    parent = app.task(lambda **_: child.delay().id, name="parent")

    run(parent, kwargs={"organization_id": 7, "user_id": "ann"})

    assert tenant_of(sent["child"]) == ("7", "ann")


def test_the_arguments_of_the_new_task_count_more_than_what_it_inherits(app: App, sent: Any) -> None:
    child = app.task(lambda **_: 42, name="child")
    parent = app.task(lambda: child.delay(organization_id="org-b").id, name="parent")

    run(parent, **TENANT)

    assert tenant_of(sent["child"]) == ("org-b", "ann")


def test_further_keys_are_handed_on(sent: Any) -> None:
    app = an_app(RecordingPublisher(), tenant_keys=("org", "user", "project_id"))
    child = app.task(lambda: 42, name="child")
    parent = app.task(lambda: child.delay().id, name="parent")

    run(parent, org="org-a", user="ann", project_id="p1", notify_email="ann@example.com", notify_name="Ann")

    inherited = {"org": "org-a", "user": "ann", "project_id": "p1"}
    inherited |= {"notify_email": "ann@example.com", "notify_name": "Ann"}
    assert {key: sent["child"][key] for key in inherited} == inherited


def test_a_retry_keeps_what_belongs_to_the_run(app: App, sent: Any) -> None:
    @app.task(name="again", bind=True)
    def again(self: Any) -> None:
        raise self.retry(countdown=0)

    of_run = {SENT: "2026-11-22T10:00:00.000+00:00", "periodic_task_name": "nightly", "notify_email": "a@example.com"}
    # An integration that nests its own headers makes Celery forget all others on a retry.
    run(again, headers={"sentry-trace": "1-2"}, **TENANT, **of_run)

    assert sent["again"]["retries"] == 1
    assert {key: sent["again"][key] for key in (*of_run, *TENANT)} == of_run | TENANT
    assert sent["again"]["sentry-trace"] == "1-2"


def test_what_belongs_to_the_run_is_not_inherited(app: App, sent: Any) -> None:
    child = app.task(lambda: 42, name="child")
    parent = app.task(lambda: child.delay().id, name="parent")

    run(parent, **{SENT: "2026-11-22T10:00:00.000+00:00", "periodic_task_name": "nightly"})

    assert sent["child"][SENT] > "2026-11-22T10:00:00.000+00:00"
    assert "periodic_task_name" not in sent["child"]


def test_the_errback_of_a_lost_child_inherits_from_the_request_the_main_process_has(app: App, sent: Any) -> None:
    task = app.task(lambda: 42, name="answer")
    message = TaskMessage("answer", id="t1", args=(), kwargs={})
    message.headers.update(TENANT)
    message.delivery_info = message.properties = {}
    request = WorkerRequest(message, app=app, task=task)
    signals.task_received.send(sender=None, request=request)

    app.task(lambda *_: 42, name="errback").apply_async(("t1",), parent_id="t1")

    assert tenant_of(sent["errback"]) == ("org-a", "ann")
    assert request.id == "t1"


def test_headers_win_over_arguments_and_a_mismatch_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    publisher = RecordingPublisher()
    task = an_app(publisher).task(lambda **_: 42, name="answer")

    run(task, task_id="t1", kwargs={"organization_id": "org-b", "user_id": "ann"}, **TENANT)

    assert {event.organization_id for event in publisher.events} == {"org-a"}
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "organization_id of task answer[t1] is org-a in its headers and org-b in its arguments; the header counts"
    ]


def test_a_header_that_is_no_instant_is_left_alone() -> None:
    publisher = RecordingPublisher()
    task = an_app(publisher).task(lambda: 42, name="answer")

    run(task, **{SENT: "yesterday"})

    assert [event.submitted_at for event in publisher.events] == [None, None]


def test_the_entry_of_beat_is_the_schedule_of_what_it_starts() -> None:
    publisher = RecordingPublisher()
    app = an_app(publisher)
    app.task(lambda: 42, name="report")
    app.conf.beat_schedule = {"every night": {"task": "report", "schedule": 1.0}}
    beat = Service(app, scheduler_cls=Scheduler)

    signals.beat_init.send(sender=beat)
    beat.scheduler.apply_entry(beat.scheduler.schedule["every night"])
    app.tasks["report"].delay()

    assert [event.schedule for event in publisher.events] == ["every night", None]


def test_protocol_1_is_left_alone() -> None:
    publisher = RecordingPublisher()
    app = an_app(publisher)
    app.conf.task_protocol = 1
    app.task(lambda: 42, name="old").delay()

    assert publisher.events == []


def test_a_request_without_headers_has_no_tenant() -> None:
    publisher = RecordingPublisher()
    task = an_app(publisher).task(lambda: 42, name="answer")

    signals.task_revoked.send(sender=task, request=Request(id="t1"), terminated=False, signum=None, expired=False)

    assert [(event.user_id, event.schedule) for event in publisher.events] == [(None, None)]
