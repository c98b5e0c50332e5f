"""What is published about a task, signal by signal. The same on real workers: test_failure_matrix.py."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, WorkerLostError
from celery import Celery, Task, signals
from celery.app.task import Context as Request
from celery.contrib.testing.mocks import TaskMessage
from celery.exceptions import Ignore, Reject
from celery.worker.request import Request as WorkerRequest

from streamnotify import sdk
from streamnotify.celery import BaseTask, email_notification, install
from streamnotify.sdk import Context, Publisher, PublisherConfig, Status, TaskEvent
from streamnotify.sdk.current import current_run
from streamnotify.sdk.event import event_id_of
from tests.celery.in_process import App, RecordingPublisher, an_app, run

TENANT = {"organization_id": "org-a", "user_id": "ann"}


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def app(publisher: RecordingPublisher) -> Celery:
    return an_app(publisher)


def end(publisher: RecordingPublisher) -> TaskEvent:
    (event,) = [event for event in publisher.events if event.final]
    return event


def test_a_run_that_succeeds_is_running_then_completed(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda: 42, name="answer")

    run(task, task_id="t1", **TENANT)

    began, ended = publisher.events
    assert (began.task_name, began.task_id, began.status, began.attempt) == ("answer", "t1", Status.RUNNING, 1)
    assert (ended.status, ended.final, ended.max_attempts) == (Status.COMPLETED, True, 4)
    assert {(event.organization_id, event.user_id, event.source) for event in (began, ended)} == {
        ("org-a", "ann", "shop")
    }
    assert (began.event_id, ended.event_id) == (
        event_id_of("shop", "t1", 1, "started"),
        event_id_of("shop", "t1", 1, "succeeded"),
    )


def test_an_end_is_complete_without_earlier_events(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda: 42, name="answer")
    sent, queued = "2026-11-22T10:00:00.000+00:00", "2026-11-22T10:00:01.500+00:00"

    run(task, **{"x-streamnotify-sent": sent, "x-streamnotify-queued": queued, "periodic_task_name": "nightly"})

    ended = end(publisher)
    assert ended.submitted_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert ended.queued_at == datetime(2026, 11, 22, 10, 0, 1, 500_000, tzinfo=UTC)
    assert ended.started_at == publisher.events[0].occurred_at
    assert ended.finished_at == ended.occurred_at
    assert ended.duration_s is not None
    assert 0 <= ended.duration_s < 5
    assert ended.schedule == "nightly"


def test_a_redelivered_run_repeats_its_ids(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda: 42, name="answer")

    run(task, task_id="t1")
    run(task, task_id="t1", delivery_info={"redelivered": True})

    first, second = publisher.events[:2], publisher.events[2:]
    assert [event.event_id for event in first] == [event.event_id for event in second]
    assert [event.redelivered for event in publisher.events] == [None, None, True, True]


def test_a_retry_is_queued_as_the_next_attempt_and_no_end(app: Celery, publisher: RecordingPublisher) -> None:
    @app.task(name="flaky", autoretry_for=(ValueError,), retry_kwargs={"max_retries": 1}, default_retry_delay=0)
    def flaky() -> None:
        raise ValueError("not yet")

    run(flaky, task_id="t1")
    run(flaky, task_id="t1", retries=1)

    began, retrying, again, stopped = publisher.events
    assert (retrying.status, retrying.attempt, retrying.final) == (Status.QUEUED, 2, False)
    assert retrying.error == sdk.ErrorInfo(type="ValueError", message="not yet", cause="exception")
    assert [event.attempt for event in (began, again, stopped)] == [1, 2, 2]
    assert (stopped.status, stopped.final, stopped.max_attempts) == (Status.STOPPED, True, 2)


def test_a_task_may_retry_without_saying_why_and_without_limit(app: Celery, publisher: RecordingPublisher) -> None:
    @app.task(name="again", bind=True, max_retries=None)
    def again(self: Any) -> None:
        raise self.retry(countdown=0)

    run(again)

    assert (publisher.events[-1].status, publisher.events[-1].error) == (Status.QUEUED, None)
    assert publisher.events[-1].max_attempts is None


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("raised", "type_", "message", "cause"),
    [
        (ValueError("boom"), "ValueError", "boom", "exception"),
        (ValueError(), "ValueError", "ValueError", "exception"),
        (SoftTimeLimitExceeded(), "SoftTimeLimitExceeded", "soft time limit exceeded", "soft_time_limit"),
        (Reject("no", requeue=False), "Reject", "rejected: no", "rejected"),
        (Unprintable(), "Unprintable", "Unprintable", "exception"),
        (SystemExit(3), "SystemExit", "the task ended its process: SystemExit(3)", "worker_exit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_says_why(
    app: Celery, publisher: RecordingPublisher, raised: BaseException, type_: str, message: str, cause: str
) -> None:
    @app.task(name="fails")
    def fails() -> None:
        raise raised

    with suppress(SystemExit):
        run(fails)

    assert end(publisher).status == Status.STOPPED
    assert end(publisher).error == sdk.ErrorInfo(type=type_, message=message, cause=cause)


def test_an_exception_that_cannot_be_pickled_keeps_its_name(app: Celery, publisher: RecordingPublisher) -> None:
    class Local(Exception):  # a class within a function
        def __init__(self, what: str, *, why: str) -> None:
            super().__init__(f"{what}: {why}")

    @app.task(name="fails")
    def fails() -> None:
        raise Local("no place", why="full")

    run(fails)

    error = end(publisher).error
    assert error is not None
    assert error.type == "Local"
    assert "no place: full" in str(error.message)


@pytest.mark.parametrize("raised", [Ignore(), Reject("later", requeue=True)], ids=["ignored", "requeued"])
def test_what_is_no_end_publishes_none(app: Celery, publisher: RecordingPublisher, raised: Exception) -> None:
    @app.task(name="leaves")
    def leaves() -> None:
        raise raised

    run(leaves)

    assert publisher.statuses == ["Running"]


@pytest.mark.parametrize(
    ("options", "conf", "redelivery_s"),
    [
        ({}, {"broker_url": "redis://127.0.0.1/0"}, 60.0),
        ({"acks_late": True}, {}, 60.0),
        ({"acks_late": True}, {"broker_url": "redis://127.0.0.1/0"}, 3600.0),
        ({"acks_late": True}, {"broker_transport_options": {"visibility_timeout": 600}}, 600.0),
    ],
    ids=["acked early", "acked late", "late on Redis", "late with a visibility timeout"],
)
def test_a_child_stopped_by_a_signal_interrupts_its_run(
    app: Celery, publisher: RecordingPublisher, options: Mapping[str, Any], conf: Mapping[str, Any], redelivery_s: float
) -> None:
    app.conf.update(conf)

    @app.task(name="stopped", **options)
    def stopped() -> None:
        sys.exit(-241)  # what billiard makes of SIGTERM

    with pytest.raises(SystemExit):
        run(stopped)

    interrupted = publisher.events[-1]
    assert (interrupted.status, interrupted.interrupted, interrupted.final) == (Status.RUNNING, True, None)
    assert interrupted.redelivery_s == redelivery_s
    assert interrupted.started_at == publisher.events[0].started_at


def test_a_retry_without_a_reason_is_an_interruption(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda: 42, name="answer")

    signals.task_retry.send(sender=task, request=Request(id="t1", task="answer"), einfo=None, reason=None)

    assert [(event.status, event.interrupted) for event in publisher.events] == [(Status.RUNNING, True)]


@pytest.mark.parametrize("throws", [(KeyError,), KeyError], ids=["tuple", "class"])
def test_an_exception_the_task_declares_is_expected(app: Celery, publisher: RecordingPublisher, throws: Any) -> None:
    @app.task(name="declared", throws=throws)
    def declared() -> None:
        raise KeyError("gone")

    run(declared)

    assert end(publisher).expected is True


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"terminated": False, "signum": None, "expired": False}, "revoked", "revoked before it started"),
        ({"terminated": True, "signum": "SIGKILL", "expired": False}, "revoked", "terminated by SIGKILL"),
        ({"terminated": False, "signum": None, "expired": True}, "expired", "expired before it started"),
    ],
)
def test_a_revoked_run_is_cancelled(
    app: Celery, publisher: RecordingPublisher, arguments: Mapping[str, Any], kind: str, message: str
) -> None:
    task = app.task(lambda: 42, name="answer")

    signals.task_revoked.send(sender=task, request=Request(id="t1", task="answer", **TENANT), **arguments)

    (event,) = publisher.events
    assert (event.status, event.final, event.user_id) == (Status.CANCELLED, True, "ann")
    assert event.event_id == event_id_of("shop", "t1", 1, kind)
    assert event.error is not None
    assert event.error.message == message


@pytest.mark.usefixtures("app")
def test_a_task_no_worker_knows_is_stopped(publisher: RecordingPublisher) -> None:
    message = SimpleNamespace(headers={"id": "t1", "task": "nowhere", **TENANT})

    signals.task_unknown.send(sender=None, message=message, exc=KeyError("nowhere"), name="nowhere", id="t1")

    event = next(event for event in publisher.events if event.task_name == "nowhere")
    assert (event.status, event.user_id) == (Status.STOPPED, "ann")
    assert event.error is not None
    assert event.error.cause == "unregistered"


@pytest.mark.parametrize("headers", [{"id": "t1", "task": "odd"}, {"task": "odd"}, None])
def test_a_record_that_is_no_task_is_stopped_if_it_names_a_run(
    app: Celery, publisher: RecordingPublisher, headers: Mapping[str, Any] | None
) -> None:
    app.task(lambda: 42, name="odd")

    signals.task_rejected.send(sender=None, message=SimpleNamespace(headers=headers), exc=ValueError("args"))

    causes = [event.error and event.error.cause for event in publisher.events]
    assert causes == (["invalid_message"] if headers and "id" in headers else [])


def test_an_internal_error_has_the_id_of_the_failure_that_follows_it(
    app: Celery, publisher: RecordingPublisher
) -> None:
    task = app.task(lambda: 1 / 0, name="fails")

    signals.task_internal_error.send(
        sender=task, task_id="t1", args=(), kwargs={}, request=TENANT, exception=ValueError("boom")
    )
    run(task, task_id="t1")

    internal, _, failed = publisher.events
    assert internal.error is not None
    assert (internal.error.cause, internal.user_id) == ("internal", "ann")
    assert internal.event_id == failed.event_id


def a_received(app: Celery, task: Task, chord: Any = None, **headers: Any) -> WorkerRequest:
    """A request as the worker's main process has it, announced."""
    message = TaskMessage(task.name, id="t1", args=(1,), kwargs={})
    message.payload[2]["chord"] = chord
    message.headers.update(headers)
    message.delivery_info = message.properties = {}
    request = WorkerRequest(message, app=app, task=task)
    signals.task_received.send(sender=None, request=request)
    return request


def test_a_received_task_is_queued_and_carries_when(app: Celery, publisher: RecordingPublisher) -> None:
    request = a_received(app, app.task(lambda _: 42, name="answer"), **TENANT)

    (event,) = publisher.events
    assert (event.status, event.user_id) == (Status.QUEUED, "ann")
    assert event.queued_at is not None
    assert request.request_dict["x-streamnotify-queued"] == event.queued_at.isoformat(timespec="milliseconds")


def test_a_task_with_mails_that_is_ignored_is_warned_of_once(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    app = an_app(publisher, ignore=("other.*", "celery.*"))
    mailed = email_notification()(app.task(lambda _: 42, name="celery.add"))
    unmailed, heard = app.task(lambda _: 42, name="celery.sub"), app.task(lambda _: 42, name="shop.add")

    for task in (mailed, unmailed, heard, mailed):
        a_received(app, task)

    assert [event.task_name for event in publisher.events] == ["shop.add"]
    assert caplog.messages == [
        "task celery.add has @email_notification, and install(ignore=...) has celery.*: nothing is published about it"
    ]


def test_a_lost_child_is_told_by_the_main_process(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda _: 42, name="answer")
    request = a_received(app, task, retries=1, **TENANT)
    request.time_start = datetime.now(UTC).timestamp() - 5

    signals.task_failure.send(sender=task, task_id="t1", exception=WorkerLostError("signal 9"), einfo=None)

    ended = end(publisher)
    assert (ended.attempt, ended.organization_id, ended.user_id) == (2, "org-a", "ann")
    assert ended.error == sdk.ErrorInfo(type="WorkerLostError", message="signal 9", cause="worker_lost")
    assert ended.duration_s == pytest.approx(5, abs=2)


def test_the_clock_of_another_attempt_is_not_taken(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda _: 42, name="answer")
    request = a_received(app, task, retries=1)
    request.time_start = datetime.now(UTC).timestamp() - 5

    task.push_request(id="t1", retries=0)
    signals.task_failure.send(sender=task, task_id="t1", exception=WorkerLostError("signal 9"), einfo=None)
    task.pop_request()

    assert (end(publisher).attempt, end(publisher).duration_s, request.id) == (1, None, "t1")


def test_a_lost_chord_member_tells_who_waits_for_the_body(app: Celery, publisher: RecordingPublisher) -> None:
    email_notification(on_chord_error=True)(app.task(lambda _: 42, name="collect"))
    task = app.task(lambda _: 42, name="member")
    request = a_received(app, task, chord={"task": "collect", "options": {"task_id": "b1"}}, **TENANT)

    signals.task_failure.send(sender=task, task_id=request.id, exception=WorkerLostError("signal 9"), einfo=None)

    assert [(event.task_id, event.user_id) for event in publisher.events if event.final] == [
        ("t1", "ann"),
        ("b1", "ann"),
    ]


def test_requests_are_not_kept_alive(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda _: 42, name="answer")
    a_received(app, task, **TENANT)

    signals.task_failure.send(sender=task, task_id="t1", exception=WorkerLostError("signal 9"), einfo=None)

    assert end(publisher).user_id is None


def test_a_submitted_task_is_pending_but_a_retry_is_not(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda: 42, name="answer")

    task.apply_async(headers=TENANT)
    task.apply_async(retries=1)

    (event,) = publisher.events
    assert (event.status, event.user_id, event.final) == (Status.PENDING, "ann", None)
    assert event.submitted_at is not None


def test_pending_can_be_left_out(publisher: RecordingPublisher) -> None:
    task = an_app(publisher, publish_pending=False).task(lambda: 42, name="answer")

    task.delay()

    assert publisher.events == []


def test_a_publisher_that_raises_costs_no_task_and_one_warning(
    app: Celery, publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    task = app.task(lambda: 42, name="answer")
    publisher.broken = True

    traced = run(task)

    assert (traced.retval, traced.info) == (42, None)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["streamnotify.celery.signals"]


def test_installing_twice_publishes_once(app: Celery, publisher: RecordingPublisher) -> None:
    again = install(app, publisher=publisher)

    run(app.task(lambda: 42, name="answer"))

    assert publisher.statuses == ["Running", "Completed"]
    assert again is install(app)


def test_each_app_publishes_about_its_own_tasks(app: Celery, publisher: RecordingPublisher) -> None:
    other_publisher = RecordingPublisher()
    other = an_app(other_publisher)
    mine, theirs = app.task(lambda: 1, name="mine"), other.task(lambda: 2, name="theirs")

    for task in (mine, theirs):
        run(task)
        task.delay()

    assert {event.task_name for event in publisher.events} == {"mine"}
    assert {event.task_name for event in other_publisher.events} == {"theirs"}


def test_ignored_tasks_are_not_published(publisher: RecordingPublisher) -> None:
    app = an_app(publisher, ignore=("celery.*", "store_logs"))

    run(app.tasks["celery.accumulate"])
    for name in ("store_logs", "store_logs_now"):
        run(app.task(lambda: 42, name=name))

    assert {event.task_name for event in publisher.events} == {"store_logs_now"}


def test_a_direct_call_publishes_nothing(app: Celery, publisher: RecordingPublisher) -> None:
    assert app.task(lambda: 42, name="answer")() == 42
    assert publisher.events == []


@pytest.mark.parametrize("publish_eager", [False, True])
def test_eager_tasks_are_published_only_if_asked(publisher: RecordingPublisher, publish_eager: bool) -> None:
    task = an_app(publisher, publish_eager=publish_eager).task(lambda: 42, name="answer")

    task.apply(headers=TENANT)

    assert publisher.statuses == (["Running", "Completed"] if publish_eager else [])
    assert {event.user_id for event in publisher.events} <= {"ann"}


def name_of_current_run() -> str | None:
    found = current_run()
    return None if found is None else f"{found.task_name} of {found.user_id}"


def test_progress_names_the_run_under_way_and_no_other(app: Celery) -> None:
    inner = app.task(name_of_current_run, name="inner")
    outer = app.task(lambda: [name_of_current_run(), inner.apply().get(), name_of_current_run()], name="outer")

    # The inner one is eager and not published, and so part of the outer.
    assert run(outer, **TENANT).retval == ["outer of ann"] * 3
    assert current_run() is None


def test_an_eager_task_that_is_published_has_its_own_progress(publisher: RecordingPublisher) -> None:
    app = an_app(publisher, publish_eager=True)
    inner = app.task(name_of_current_run, name="inner")
    outer = app.task(lambda: [inner.apply().get(), name_of_current_run()], name="outer")

    assert run(outer, **TENANT).retval == ["inner of None", "outer of ann"]


@pytest.mark.parametrize(
    ("answer", "context"),
    [
        (Context(model="gap.Session", id="42"), Context(model="gap.Session", id="42")),
        ({"type": "Hourly", "id": 42, "other": 1}, Context(type="Hourly", id="42")),
        (None, None),
        ("odd", None),
    ],
    ids=["struct", "mapping", "none", "anything else"],
)
def test_the_context_comes_from_a_callable(publisher: RecordingPublisher, answer: Any, context: Context | None) -> None:
    asked: list[tuple[Any, ...]] = []

    def context_of(request: Request, args: Any, kwargs: Any) -> Any:
        asked.append((request.id, tuple(args), kwargs))
        return answer

    task = an_app(publisher, context=context_of).task(lambda *_, **__: 42, name="answer")

    run(task, 7, task_id="t1", kwargs={"a": 1})
    task.apply_async((7,), {"a": 1}, task_id="t1")

    assert [event.context for event in publisher.events] == [context] * 3
    assert asked == [("t1", (7,), {"a": 1})] * 3


def test_a_callable_that_raises_costs_its_field_only(publisher: RecordingPublisher) -> None:
    task = an_app(publisher, context=lambda *_: 1 / 0).task(lambda: 42, name="answer")

    run(task)

    assert [(event.status, event.context) for event in publisher.events] == [
        (Status.RUNNING, None),
        (Status.COMPLETED, None),
    ]


def test_a_traceback_is_sent_only_if_asked() -> None:
    sent = []
    for with_traceback in (None, True):
        publisher = RecordingPublisher()
        run(an_app(publisher, with_traceback=with_traceback).task(lambda: 1 / 0, name="fails"))
        error = end(publisher).error
        assert error is not None
        sent.append(error.traceback)

    assert sent[0] is None
    assert "ZeroDivisionError" in str(sent[1])


def test_nothing_of_the_arguments_is_published(app: Celery, publisher: RecordingPublisher) -> None:
    task = app.task(lambda *_, **__: "hidden-4", name="answer")

    run(task, "hidden-1", kwargs={"password": "hidden-2"})
    task.delay("hidden-3")

    assert "hidden" not in repr(publisher.events)


@pytest.mark.usefixtures("app")
def test_flushing_happens_when_a_child_and_when_the_worker_ends(publisher: RecordingPublisher) -> None:
    signals.worker_process_shutdown.send(sender=None, pid=1, exitcode=0)
    signals.worker_shutdown.send(sender=None)

    assert publisher.flushes == 2


def test_the_publisher_knows_what_the_process_is() -> None:
    app = App("shop", broker="memory://", set_as_current=False)
    own = Publisher(PublisherConfig(source="shop/prod"))
    installed = install(app, publisher=own)
    app.task(lambda: 42, name="of-the-role").delay()
    roles = [own.role]
    # Signal by signal; the last comes in a process of its own, but with the pool "solo" in this one.
    for signal in (signals.worker_init, signals.worker_process_init):
        signal.send(sender=None)
        roles.append(own.role)

    assert roles == ["publisher", "main", "main"]
    assert installed.source == "shop/prod"


def test_a_failed_chord_member_tells_who_waits_for_the_body(app: Celery, publisher: RecordingPublisher) -> None:
    email_notification(on_chord_error=True)(app.task(lambda _: 42, name="collect"))
    member = app.task(lambda _: 1 / 0, name="member", base=BaseTask)
    body = {"task": "collect", "options": {"task_id": "b1"}, "args": [], "kwargs": {}}
    rest_of_chain = [
        {"task": "last", "options": {"chord": body, "task_id": "c2"}},
        {"task": "next", "options": {"task_id": "c1"}},
    ]

    for request in ({"chord": body}, {"chain": rest_of_chain}):
        run(member, 1, **TENANT, **request)

    told = [event for event in publisher.events if event.task_id == "b1"]
    assert [(event.task_name, event.status, event.user_id, event.attempt) for event in told] == [
        ("collect", Status.STOPPED, "ann", 1)
    ] * 2
    assert {event.event_id for event in told} == {event_id_of("shop", "b1", 1, "failed")}
    assert all(event.notify is not None for event in told)
    assert told[0].error is not None
    assert re.fullmatch(r"chord member member failed: .*division.*", str(told[0].error.message))


def test_a_failed_member_of_a_chord_within_a_chord_tells_for_both_bodies(
    app: Celery, publisher: RecordingPublisher
) -> None:
    """The outer body waits for the inner one, which will never run, whether that one asked or not."""
    email_notification(on_chord_error=True)(app.task(lambda _: 42, name="outer"))
    app.task(lambda _: 42, name="inner")
    member = app.task(lambda _: 1 / 0, name="member")
    outer = {"task": "outer", "options": {"task_id": "b2"}}

    run(member, 1, chord={"task": "inner", "options": {"task_id": "b1", "chord": outer}})

    assert [event.task_id for event in publisher.events if event.task_name != "member"] == ["b2"]


def test_a_chord_body_with_headers_of_its_own_has_them_when_a_member_fails(
    app: Celery, publisher: RecordingPublisher
) -> None:
    """As it would have had them if it had run."""
    email_notification(on_chord_error=True)(app.task(lambda _: 42, name="collect"))
    member = app.task(lambda _: 1 / 0, name="member")
    headers = {"notify_email": "bob@example.com", "user_id": "bob"}

    run(member, 1, **TENANT, chord={"task": "collect", "options": {"task_id": "b1", "headers": headers}})

    (told,) = (event for event in publisher.events if event.task_id == "b1")
    assert told.notify is not None
    assert (told.notify.email, told.user_id) == ("bob@example.com", "bob")
    assert told.organization_id == TENANT["organization_id"]


def test_the_body_of_a_chord_that_did_not_ask_is_left_alone(app: Celery, publisher: RecordingPublisher) -> None:
    email_notification()(app.task(lambda _: 42, name="collect"))
    member = app.task(lambda _: 1 / 0, name="member")

    run(member, 1, chord={"task": "collect", "options": {"task_id": "b1"}})

    assert {event.task_name for event in publisher.events} == {"member"}
