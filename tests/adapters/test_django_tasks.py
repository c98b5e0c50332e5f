"""Tasks of a Django site become task events: of the backport, and of Django 6 where that is installed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import Any

import django
import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.test import override_settings

from streamnotify import sdk
from tests.adapters.published import Published, a_process, told

DB_WORKER = [sys.executable, "-m", "django", "db_worker", "--interval", "0.1", "--no-startup-delay", "--no-reload"]
SITE = "tests.adapters.django_site"

pytestmark = pytest.mark.usefixtures("publisher")


@pytest.fixture(scope="module")
def tasks(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The site's tasks, with a worker that runs them."""
    directory = tmp_path_factory.mktemp("django")
    env = {"DJANGO_SETTINGS_MODULE": f"{SITE}.settings", "SITE_DATABASE": str(directory / "site.sqlite")}
    os.environ.update(env)
    django.setup()
    call_command("migrate", verbosity=0)
    with a_process(DB_WORKER, {**published.env, **env}, directory / "log"):
        yield import_module(f"{SITE}.tasks")
    connections.close_all()


@pytest.fixture(params=["default", "immediate"])
def enqueue(request: pytest.FixtureRequest, tasks: ModuleType) -> Callable[..., str]:
    """Has a task run by the worker, or at once in this process; the id of its result."""

    def enqueue(name: str, *args: Any, **kwargs: Any) -> str:
        return str(getattr(tasks, name).using(backend=request.param).enqueue(*args, **kwargs).id)

    return enqueue


def test_a_task_that_succeeds_is_told_from_start_to_end(enqueue: Callable[..., str], published: Published) -> None:
    """With its progress, its times, its tenant, and what of its result a mail may use."""
    task_id = enqueue("succeed", 0.2, organization_id="org-a", user_id=42)
    pending, running, progress, completed = published.to_the_end(task_id, with_pending=True)
    assert told(pending) == {
        "task_name": f"{SITE}.tasks.succeed",
        "status": "Pending",
        "attempt": 1,
        "organization_id": "org-a",
        "user_id": "42",
        "notify": {"template": "nightly", "on": ["failure", "success"]},
    }
    assert told(running) == {**told(pending), "status": "Running"}
    assert progress["progress"] == {"percent": 50.0, "text": "half of it for 42 of org-a"}
    assert (progress["user_id"], progress["organization_id"]) == ("42", "org-a")
    assert told(completed) == {**told(pending), "status": "Completed", "result": {"total_tests": 10}}
    assert completed["submitted_at"] <= running["started_at"] == completed["started_at"] < completed["finished_at"]
    assert 0.2 <= completed["duration_s"] < 30


def test_a_failure_is_final(enqueue: Callable[..., str], published: Published) -> None:
    """With the exception's class and message; arguments count by name, however they were given."""
    *_, stopped = published.to_the_end(enqueue("fail", 42))
    assert told(stopped) == {
        "task_name": f"{SITE}.tasks.fail",
        "status": "Stopped",
        "attempt": 1,
        "user_id": "42",
        "notify": {"email": "ann@example.com"},
        "error": {
            "type": "NoIngestor",
            "message": "no ingestor: 42\nnor a collector in attempt 1",
            "cause": "exception",
        },
    }


def test_a_task_that_was_not_opted_in_is_silent(enqueue: Callable[..., str], published: Published) -> None:
    """Monitors see it."""
    *_, stopped = published.to_the_end(enqueue("fail_silently"))
    assert "notify" not in stopped
    assert stopped["error"] == {"type": "ValueError", "cause": "exception"}


def test_arguments_that_do_not_fit_are_told_as_the_failure_they_are(
    enqueue: Callable[..., str], published: Published
) -> None:
    """The tenant is found all the same."""
    *_, stopped = published.to_the_end(enqueue("succeed", organisation="org-a", user_id=42))
    assert (stopped["error"]["type"], stopped["user_id"]) == ("TypeError", "42")


def test_a_task_that_ran_another_is_itself_again(tasks: ModuleType, published: Published) -> None:
    """Its progress is not the other's."""
    task_id = str(tasks.call_another.using(backend="immediate").enqueue().id)
    assert [event["status"] for event in published.to_the_end(task_id, with_pending=True)] == [
        "Pending",
        "Running",
        "Running",
        "Completed",
    ]


def test_what_is_rolled_back_was_never_pending(tasks: ModuleType, published: Published) -> None:
    """The task was in the same transaction."""
    with transaction.atomic():
        rolled_back = str(tasks.fail_silently.enqueue().id)
        transaction.set_rollback(True)
    with transaction.atomic():
        committed = str(tasks.fail_silently.enqueue().id)
    published.to_the_end(committed)
    assert published.of(rolled_back, until=lambda events: True) == []


def test_instants_without_a_zone_are_local(tasks: ModuleType, published: Published) -> None:
    """As Django has them with USE_TZ = False."""
    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
        task_id = str(tasks.succeed.using(backend="immediate").enqueue(0).id)
    *_, completed = published.to_the_end(task_id)
    for name in ("submitted_at", "started_at", "finished_at"):
        assert abs(datetime.fromisoformat(completed[name]) - datetime.now(UTC)) < timedelta(minutes=5)


class Refusing(sdk.Publisher):
    """Breaks what no publisher of ours does."""

    def publish(self, event: sdk.TaskEvent) -> bool:
        raise RuntimeError("no event today")


def test_a_publisher_that_raises_breaks_no_task(
    tasks: ModuleType, publisher: sdk.Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Django's signals would hand the exception on."""
    sdk.set_default_publisher(Refusing())
    try:
        with caplog.at_level(logging.WARNING, "streamnotify"):
            result = tasks.fail_silently.using(backend="immediate").enqueue()
    finally:
        sdk.set_default_publisher(publisher)
    assert [error.exception_class_path for error in result.errors] == ["builtins.ValueError"]
    assert [record.message for record in caplog.records if record.name.startswith("streamnotify")] == [
        "A task event could not be published"
    ] * 3


def test_the_traceback_is_sent_only_to_those_who_want_it(tasks: ModuleType, published: Published) -> None:
    """It may hold secrets."""
    config = sdk.PublisherConfig(
        bootstrap_servers=published.bootstrap_servers, topic=published.topic, with_traceback=True
    )
    before = sdk.default_publisher()
    sdk.set_default_publisher(sdk.Publisher(config))
    try:
        result = tasks.fail.using(backend="immediate").enqueue(user_id=1)
    finally:
        sdk.default_publisher().close()
        sdk.set_default_publisher(before)
    *_, stopped = published.to_the_end(str(result.id))
    assert stopped["error"]["traceback"] == result.errors[0].traceback
