"""The decorators and bases of the source document, and what they make of an event."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, shared_task

from streamnotify.celery import (
    BaseTask,
    EmailEnabledTask,
    EmailTemplate,
    SilentTask,
    email_notification,
    install,
    with_tenant_context,
)
from streamnotify.sdk import Notify, TaskEvent
from tests.celery.in_process import App, RecordingPublisher, an_app, run

TENANT = {"organization_id": "org-a", "user_id": "ann"}
KEY_ERROR, VALUE_ERROR = "error='boom', exception_type=KeyError", "error=boom, exception_type=ValueError"


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def app(publisher: RecordingPublisher) -> App:
    return an_app(publisher)


def end(publisher: RecordingPublisher) -> TaskEvent:
    (event,) = [event for event in publisher.events if event.final]
    return event


def test_the_documented_form_opts_in(app: App, publisher: RecordingPublisher) -> None:
    @email_notification(
        template=EmailTemplate.TASK_COMPLETION, subject_template="Task Complete: {task_name} - {status.title()}"
    )
    @app.task(base=BaseTask, name="your.user.facing.task", bind=True)
    @with_tenant_context
    def user_facing_task(self: Any, params: Any, db: Any = None) -> dict[str, Any]:  # noqa: ARG001 - as documented
        return {"result": "success", "test_run_id": "optional-for-links"}

    run(user_facing_task, "params", **TENANT)

    assert end(publisher).notify == Notify(
        template="task_completion", subject_template="Task Complete: {task_name} - {status.title()}"
    )
    assert end(publisher).result == {"result": "success", "test_run_id": "optional-for-links"}


def test_only_ends_say_who_is_told(app: App, publisher: RecordingPublisher) -> None:
    task = email_notification()(app.task(lambda: 42, name="answer"))

    task.delay()
    run(task)

    assert [event.notify is not None for event in publisher.events] == [False, False, True]


@pytest.mark.parametrize(
    ("base", "decorated", "told"),
    [
        (BaseTask, False, False),
        (BaseTask, True, True),
        (EmailEnabledTask, False, True),
        (EmailEnabledTask, True, True),
        (SilentTask, False, False),
        (SilentTask, True, False),
        (None, True, True),
    ],
)
def test_the_base_and_the_decorator_decide_who_is_told(
    app: App, publisher: RecordingPublisher, base: Any, decorated: bool, told: bool
) -> None:
    task = app.task(lambda: {"a": 1}, name="answer", **({} if base is None else {"base": base}))
    if decorated:
        email_notification(EmailTemplate.TEST_EXECUTION_SUMMARY)(task)

    run(task)

    template = "test_execution_summary" if decorated else "task_completion"
    assert end(publisher).notify == (Notify(template=template) if told else None)
    assert end(publisher).result == ({"a": 1} if told else None)


def test_a_result_keeps_what_is_the_tasks_to_say(app: App, publisher: RecordingPublisher) -> None:
    result = {"status": "x", "error_message": "y", "total_tests": 10, "n": None}
    run(email_notification()(app.task(lambda: result, name="answer")))

    assert end(publisher).result == {"total_tests": 10}


def test_every_option_reaches_the_event(app: App, publisher: RecordingPublisher) -> None:
    decorate = email_notification(
        "our_own",
        "Done",
        on=["failure", "cancelled"],
        urgent=True,
        email="ops@example.com",
        name="Ops",
        display_name="The answer",
    )
    run(decorate(app.task(lambda: 42, name="answer")))

    assert end(publisher).notify == Notify(
        template="our_own",
        subject_template="Done",
        on=("failure", "cancelled"),
        urgent=True,
        email="ops@example.com",
        name="Ops",
    )
    assert end(publisher).display_name == "The answer"


def test_a_task_option_may_be_the_display_name(app: App, publisher: RecordingPublisher) -> None:
    run(app.task(lambda: 42, name="answer", base=BaseTask, display_name="The answer"))

    assert end(publisher).display_name == "The answer"


def test_a_wrong_outcome_is_refused() -> None:
    with pytest.raises(ValueError, match="on holds 'failed': success, failure, cancelled are allowed"):
        email_notification(on=["failed"])


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(ValueError, match="@"):
        email_notification(email="ops")


def test_below_the_task_decorator_it_warns_and_changes_nothing(
    app: App, publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    @app.task(name="answer")
    @email_notification()
    def answer() -> int:
        return 42

    assert run(answer).retval == 42
    assert end(publisher).notify is None
    assert "put it above @app.task" in caplog.text
    assert "answer" in caplog.text


def test_a_lazy_task_is_not_evaluated_by_its_decorator(publisher: RecordingPublisher) -> None:
    app = an_app(publisher)

    @email_notification()
    @app.task(name="answer")
    def answer() -> int:
        return 42

    app.config_from_object({"task_acks_late": True})
    run(answer)

    assert answer.acks_late is True
    assert end(publisher).notify is not None


def test_a_shared_task_can_be_decorated(publisher: RecordingPublisher) -> None:
    app = Celery("shared", broker="memory://", backend="cache+memory://")  # the current app
    install(app, publisher=publisher)

    @email_notification(display_name="Before the app is finalized")
    @shared_task(name="shared.early")
    def early() -> int:
        return 42

    assert not app.finalized
    app.finalize()

    @email_notification(display_name="After it")
    @shared_task(name="shared.late")
    def late() -> int:
        return 42

    for name in ("shared.early", "shared.late"):
        run(app.tasks[name])

    ends = [event for event in publisher.events if event.final]
    assert [event.display_name for event in ends] == ["Before the app is finalized", "After it"]


def test_a_class_based_task_can_be_decorated(app: App, publisher: RecordingPublisher) -> None:
    @email_notification()
    class Answer(BaseTask):
        name = "class-based"

        def run(self) -> int:
            return 42

    run(app.register_task(Answer()))

    assert end(publisher).notify == Notify(template="task_completion")


@pytest.mark.parametrize(
    ("headers", "answer", "email", "name"),
    [
        ({"notify_email": "ann@example.com", "notify_name": "Ann"}, None, "ann@example.com", "Ann"),
        ({"notify_email": "ann@example.com"}, {"email": "bob@example.com", "name": "Bob"}, "ann@example.com", None),
        ({}, {"email": "bob@example.com", "name": "Bob"}, "bob@example.com", "Bob"),
        ({}, None, "ops@example.com", "Ops"),
        ({"notify_email": "not an address"}, None, "ops@example.com", "Ops"),
        ({}, "bob@example.com", "ops@example.com", "Ops"),
    ],
    ids=["header", "header first", "callable", "decorator", "wrong address", "wrong type"],
)
def test_the_recipient_is_the_most_particular_one(
    publisher: RecordingPublisher, headers: dict[str, str], answer: Any, email: str, name: str | None
) -> None:
    app = an_app(publisher, recipient=lambda request: answer)
    task = email_notification(email="ops@example.com", name="Ops")(app.task(lambda: 42, name="answer"))

    run(task, **headers)

    notify = end(publisher).notify
    assert notify is not None
    assert (notify.email, notify.name) == (email, name)


def test_a_silent_tasks_recipient_is_not_asked_for(publisher: RecordingPublisher) -> None:
    asked: list[Any] = []
    app = an_app(publisher, recipient=asked.append)

    run(app.task(lambda: 42, name="answer"))

    assert asked == []


def test_the_tenant_reaches_parameters_that_ask_for_it(app: App) -> None:
    @app.task(name="tenant", bind=True)
    @with_tenant_context
    def tenant(_: Any, params: Any, organization_id: Any = None, *, user_id: Any = None) -> list[Any]:
        return [params, organization_id, user_id]

    assert run(tenant, 1, **TENANT).retval == [1, "org-a", "ann"]
    assert run(tenant, 1, "org-b", **TENANT).retval == [1, "org-b", "ann"]
    assert run(tenant, 1).retval == [1, None, None]
    assert tenant(1) == [1, None, None]


def test_without_such_parameters_a_call_is_unchanged(app: App) -> None:
    @app.task(name="plain")
    @with_tenant_context
    def plain(*args: Any, **kwargs: Any) -> list[Any]:
        return [list(args), kwargs]

    assert run(plain, 1, kwargs={"a": 2}, **TENANT).retval == [[1], {"a": 2}]


def test_celery_still_checks_the_arguments_of_a_call(app: App) -> None:
    @app.task(name="checked", bind=True)
    @with_tenant_context
    def checked(self: Any, params: Any, db: Any = None) -> None: ...

    checked.delay(1)
    with pytest.raises(TypeError):
        checked.delay()


def test_a_session_is_open_while_the_function_runs(publisher: RecordingPublisher) -> None:
    happened: list[Any] = []

    @contextmanager
    def db_session(organization_id: str | None, user_id: str | None) -> Iterator[str]:
        happened.append(("open", organization_id, user_id))
        yield "session"
        happened.append("closed")

    app = an_app(publisher, db_session=db_session)

    @app.task(name="stores", bind=True)
    @with_tenant_context
    def stores(_: Any, __: Any, db: Any = None) -> None:
        happened.append(db)

    run(stores, 1, **TENANT)
    run(stores, 1, kwargs={"db": "own"}, **TENANT)

    assert happened == [("open", "org-a", "ann"), "session", "closed", "own"]


def test_the_bases_log_how_an_attempt_ends(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    @app.task(name="tries", base=BaseTask, autoretry_for=(KeyError,), max_retries=1, default_retry_delay=0)
    def tries(error: str) -> None:
        if error:
            raise {"key": KeyError, "value": ValueError}[error]("boom")

    run(tries, "", task_id="t1", **TENANT)
    run(tries, "key", task_id="t2", **TENANT)
    run(tries, "key", task_id="t2", retries=1, **TENANT)
    run(tries, "value", task_id="t3")

    ours = [record for record in caplog.records if record.name == "tries"]
    whose = "organization_id=org-a, user_id=ann"
    nobodys = "organization_id=unknown, user_id=unknown"
    assert [(record.levelname, record.getMessage()) for record in ours] == [
        ("INFO", f"Task completed successfully [task_id=t1, {whose}]"),
        ("WARNING", f"Task failed (will retry, attempt 1/2) [task_id=t2, {whose}, {KEY_ERROR}]"),
        ("ERROR", f"Task permanently failed after 2 attempts [task_id=t2, {whose}, {KEY_ERROR}]"),
        ("ERROR", f"Task failed permanently (not retryable) [task_id=t3, {nobodys}, {VALUE_ERROR}]"),
    ]


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise LookupError("no words")


def test_an_exception_that_cannot_say_what_it_is_costs_its_words_only(
    app: App, publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook that raises would make it an error of Celery's own."""

    @app.task(name="fails", base=BaseTask)
    def fails() -> None:
        raise Mute

    run(fails, task_id="t1")

    assert "Task failed permanently (not retryable)" in caplog.text
    assert [event.error and event.error.message for event in publisher.events] == [None, "Mute"]


def test_handing_over_the_end_of_a_mailed_run_is_logged(
    app: App, publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    succeeds = email_notification()(app.task(lambda: 42, name="mailed.well", base=BaseTask))
    fails = email_notification()(app.task(lambda: 1 / 0, name="mailed.badly", base=BaseTask))

    run(succeeds, task_id="t1")
    publisher.full = True
    run(fails, task_id="t2", **TENANT)
    only_failures = email_notification(on=["failure"])(app.task(lambda: 42, name="mailed.never", base=BaseTask))
    run(only_failures, task_id="t3")

    lines = [record.getMessage() for record in caplog.records if "email" in record.getMessage()]
    assert lines == [
        "Task completion email sent (success) [task_id=t1, organization_id=unknown, user_id=unknown]",
        "Task completion email failed (failed) [task_id=t2, organization_id=org-a, user_id=ann]",
    ]


def test_a_task_may_log_with_its_tenant(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.task(name="talks", base=BaseTask, bind=True)
    def talks(self: BaseTask) -> None:
        self.log_with_context("warning", "Halfway", rows=3)

    run(talks, task_id="t1", **TENANT)

    assert "Halfway [task_id=t1, organization_id=org-a, user_id=ann, rows=3]" in caplog.text


def test_overriding_the_hooks_loses_no_mail(app: App, publisher: RecordingPublisher) -> None:
    class Own(BaseTask):
        abstract = True

        def on_success(self, *_: Any) -> None:
            """Nothing, not even the base's."""

    run(email_notification()(app.task(lambda: 42, name="answer", base=Own)))

    assert end(publisher).notify is not None
