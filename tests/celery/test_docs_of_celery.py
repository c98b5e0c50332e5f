"""docs/celery.md shows code that runs as it stands, and names everything there is to name."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery, Task

from streamnotify.celery import email_notification, install
from streamnotify.celery.events import _STATUSES
from streamnotify.sdk import Notify, Publisher, PublisherConfig, TaskEvent, default_publisher, set_default_publisher
from tests.celery.in_process import RecordingPublisher, run

PAGE = (Path(__file__).parents[2] / "docs" / "celery.md").read_text("utf-8")
TENANT = {"organization_id": "org-a", "user_id": "u1"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def table(heading: str) -> list[list[str]]:
    """The rows of the table with that first cell."""
    [found] = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in str(found).splitlines()]


@pytest.fixture(scope="module")
def publisher() -> Iterator[RecordingPublisher]:
    """What the page's code publishes by: the process's default one, as it asks for no other."""
    before, recording = default_publisher(), RecordingPublisher()
    set_default_publisher(cast(Publisher, recording))
    yield recording
    set_default_publisher(before)


@pytest.fixture(scope="module")
def page(publisher: RecordingPublisher) -> Iterator[dict[str, Any]]:
    """The names of all the page's code, run block by block; the first is the module ``worker``."""
    codes = [re.sub(r"redis://[^\"]*/0", "memory://", code) for code in blocks("python")]
    codes = [re.sub(r"redis://[^\"]*/1", "cache+memory://", code) for code in codes]
    spec = spec_from_loader("worker", None)
    assert spec is not None
    worker = module_from_spec(spec)
    exec(compile(codes[0], "worker.py", "exec"), worker.__dict__)
    sys.modules["worker"] = worker
    names: dict[str, Any] = {"__name__": "tasks", "param1": 1, "param2": 2, "param3": 3}
    for code in codes[1:]:
        exec(compile(code, "docs/celery.md", "exec"), names)
    assert {str(event.status) for event in publisher.events} == {"Pending"}  # what the page submits
    yield names
    del sys.modules["worker"]


def end_of(task: Task, publisher: RecordingPublisher, *args: Any, **request: Any) -> TaskEvent:
    del publisher.events[:]
    run(task, *args, **TENANT, **request)
    (event,) = [event for event in publisher.events if event.final]
    return event


@pytest.mark.parametrize(
    ("name", "args", "notify"),
    [
        (
            "user_facing_task",
            (1,),
            Notify(template="task_completion", subject_template="Task Complete: {task_name} - {status.title()}"),
        ),
        ("background_task", (1,), None),
        ("legacy_task", (1,), Notify(template="task_completion")),
        ("test_task", (), Notify(template="test_execution_summary")),
        ("collect_results_task", ([],), Notify(template="test_execution_summary")),
    ],
)
def test_the_tasks_of_the_page_are_told_as_it_says(
    page: dict[str, Any], publisher: RecordingPublisher, name: str, args: tuple[Any, ...], notify: Notify | None
) -> None:
    ended = end_of(page[name], publisher, *args)

    assert (str(ended.status), ended.user_id, ended.notify) == ("Completed", "u1", notify)
    assert (ended.result is not None) == (notify is not None)


def test_a_failed_member_is_told_for_the_body(page: dict[str, Any], publisher: RecordingPublisher) -> None:
    body = page["collect_or_say_why"].s().set(task_id="b1")
    del publisher.events[:]

    run(page["background_task"], chord=dict(body), **TENANT)  # an argument is missing

    assert [event.task_id for event in publisher.events if event.notify is not None] == ["b1"]


def test_progress_knows_its_run(page: dict[str, Any], publisher: RecordingPublisher) -> None:
    end_of(page["import_rows"], publisher, ["a", "b"], task_id="t1")

    told = [event for event in publisher.events if event.progress is not None]
    assert [(event.task_id, event.progress and event.progress.text) for event in told] == [
        ("t1", "row 0"),
        ("t1", "row 1"),
    ]


def test_the_options_of_install_do_what_they_say(page: dict[str, Any], publisher: RecordingPublisher) -> None:
    report = email_notification()(page["report"])
    ended = end_of(report, publisher, 42)

    assert run(report, 42, **TENANT).retval == ["a session that sees only org-a", "org-a"]
    assert ended.source == "gap/prod"
    assert ended.context is not None
    assert ended.context.id == "42"
    assert ended.notify == Notify(template="task_completion", email="ann@example.com", name="Ann")


@pytest.mark.parametrize("function", [install, email_notification])
def test_every_argument_is_explained(function: Any) -> None:
    rows = table(f"argument of `{function.__name__}`")

    explained = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert explained == [name for name in inspect.signature(function).parameters if name != "app"]


def test_the_table_of_statuses_is_the_codes() -> None:
    assert {row[0]: row[1] for row in table("what happens")} == {
        str(kind): str(status) for kind, status in _STATUSES.items()
    }


def test_the_settings_of_the_page_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    [shell] = blocks("sh")
    for name, value in re.findall(r"([A-Z_]+)=(\S+)", shell):
        monkeypatch.setitem(os.environ, name, value)

    config = PublisherConfig.from_environment()

    assert (config.bootstrap_servers, config.source) == ("localhost:9092", "gap/prod")


def test_the_page_covers_the_causes_of_failures() -> None:
    causes = set(re.findall(r"cause `(\w+)`", PAGE))

    assert causes == {"time_limit", "worker_lost", "worker_exit", "rejected", "unregistered", "invalid_message"}


def test_nothing_is_published_without_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    app = Celery("quiet", broker="memory://", backend="cache+memory://", set_as_current=False)
    install(app, publisher=Publisher())
    task = email_notification()(app.task(name="quiet-task", shared=False)(answer))

    assert run(task).retval == 42


def answer() -> int:
    return 42
