"""Messages to real Dramatiq workers become task events."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

from streamnotify.adapters.dramatiq import TaskEvents
from tests.adapters.published import DEADLINE_S, Published, a_process, told, until

DRAMATIQ = [sys.executable, "-m", "dramatiq", "tests.adapters.dramatiq_actors", "--processes", "1", "--threads", "2"]
pytestmark = pytest.mark.usefixtures("publisher")

WHOM = {"organization_id": "7", "user_id": "u-1", "notify": {"template": "nightly"}}

Send = Callable[..., str]


@pytest.fixture(scope="module")
def send(redis_url: str, published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Sends a message from this process to a running worker; its id."""
    env = {**published.env, "DRAMATIQ_REDIS": redis_url, "DRAMATIQ_NAMESPACE": "shared"}
    with a_process(DRAMATIQ, env, tmp_path_factory.mktemp("dramatiq") / "log"):
        yield sender(redis_url, "shared")


def sender(redis_url: str, namespace: str) -> Send:
    """What a process has that only sends, and knows none of the actors."""
    broker = RedisBroker(url=redis_url, namespace=namespace)  # type: ignore[no-untyped-call]
    broker.add_middleware(TaskEvents())
    broker.declare_queue("default")

    def send(actor: str, *args: Any, delay: int | None = None, **options: Any) -> str:
        message: Message[Any] = Message("default", actor, args, {}, options)
        return broker.enqueue(message, delay=delay).message_id

    return send


def steps(events: list[dict[str, Any]]) -> list[tuple[str, int, bool | None]]:
    """Status, attempt, and whether it is final."""
    return [(event["status"], event["attempt"], event.get("final")) for event in events]


def test_a_message_that_succeeds_is_told_from_start_to_end(send: Send, published: Published) -> None:
    """With its progress, its times, its tenant, and what of its result a mail may use."""
    message_id = send("succeed", 0.2, organization_id=7, user_id="u-1", notify={"template": "nightly"})
    pending, running, progress, completed = published.to_the_end(message_id, with_pending=True)
    assert told(pending) == {"task_name": "succeed", "status": "Pending", "attempt": 1, **WHOM}
    assert told(running) == {**told(pending), "status": "Running", "max_attempts": 1}
    assert progress["progress"] == {"percent": 50.0, "text": "half of it"}
    assert told(completed) == {**told(running), "status": "Completed", "result": {"total_tests": 10}}
    assert completed["submitted_at"] <= running["started_at"] == completed["started_at"] < completed["finished_at"]
    assert 0.2 <= completed["duration_s"] < 30


def test_an_actor_says_whom_to_tell_where_the_message_does_not(send: Send, published: Published) -> None:
    """The sender need not know."""
    *_, completed = published.to_the_end(send("succeed"))
    assert completed["notify"] == {"email": "ann@example.com"}


def test_an_actor_on_the_event_loop_knows_which_run_it_is(send: Send, published: Published) -> None:
    """And is silent, as it has said nothing about notify."""
    events = published.to_the_end(send("succeed_later"), with_pending=True)
    assert [event["status"] for event in events] == ["Pending", "Running", "Running", "Completed"]
    assert not any("notify" in event for event in events)


def test_a_failure_is_final_if_there_is_no_retry(send: Send, published: Published) -> None:
    """With the exception's class and message."""
    *_, stopped = published.to_the_end(send("fail"))
    assert steps([stopped]) == [("Stopped", 1, None)]
    assert stopped["error"] == {"type": "ValueError", "message": "no such ingestor", "cause": "exception"}


def test_a_failure_that_is_retried_is_not_final(send: Send, published: Published, tmp_path: Path) -> None:
    """Nobody is told that it failed if the retry succeeds."""
    events = published.to_the_end(send("fail_at_first", str(tmp_path / "seen"), max_retries=2), with_pending=True)
    assert set(steps(events)) == {
        ("Pending", 1, None),
        ("Running", 1, None),
        ("Stopped", 1, False),
        ("Queued", 2, None),
        ("Running", 2, None),
        ("Completed", 2, None),
    }
    assert events[-1]["max_attempts"] == 3


def test_the_last_retry_is_final(send: Send, published: Published) -> None:
    """And it says which attempt it was."""
    events = published.to_the_end(send("fail", max_retries=1), with_pending=True)
    assert [step for step in steps(events) if step[0] == "Stopped"] == [("Stopped", 1, False), ("Stopped", 2, None)]


def test_a_declared_failure_is_expected(send: Send, published: Published) -> None:
    """It is mailed all the same; Dramatiq never retries it."""
    *_, stopped = published.to_the_end(send("fail_as_declared", max_retries=5))
    assert (stopped["status"], stopped["expected"]) == ("Stopped", True)


def test_a_time_limit_says_so(send: Send, published: Published) -> None:
    """It is the cause."""
    *_, stopped = published.to_the_end(send("take_too_long"))
    assert (stopped["status"], stopped["error"]["cause"]) == ("Stopped", "time_limit")


@pytest.mark.parametrize("options", [{"unwanted": True}, {"max_age": 0.001}])
def test_a_skipped_message_is_cancelled(send: Send, published: Published, options: dict[str, Any]) -> None:
    """By whom ever: Dramatiq rejects what is too old, and acknowledges the rest."""
    *_, cancelled = published.to_the_end(send("succeed", **options))
    assert cancelled["status"] == "Cancelled"


def test_a_message_without_actor_is_stopped(send: Send, published: Published) -> None:
    """Dramatiq puts it away without processing it."""
    *_, stopped = published.to_the_end(send("misspelt"))
    assert stopped["error"] == {"message": "There is no actor misspelt.", "cause": "unregistered"}


def test_a_worker_that_stops_loses_no_event(redis_url: str, published: Published, tmp_path: Path) -> None:
    """Its processes end without atexit."""
    message_id = sender(redis_url, "stopping")("succeed", 0.5)
    env = {**published.env, "DRAMATIQ_REDIS": redis_url, "DRAMATIQ_NAMESPACE": "stopping"}
    with a_process(DRAMATIQ, env, tmp_path / "log") as worker:
        published.of(message_id, until=lambda events: any(event["status"] == "Running" for event in events))
        worker.terminate()
        assert worker.wait(DEADLINE_S) == 0
    assert published.to_the_end(message_id)[-1]["status"] == "Completed"


def test_a_publisher_that_raises_breaks_no_message(redis_url: str, published: Published, tmp_path: Path) -> None:
    """The log has a warning for each event."""
    sender(redis_url, "refusing")("fail_at_first", str(tmp_path))
    env = {**published.env, "DRAMATIQ_REDIS": redis_url, "DRAMATIQ_NAMESPACE": "refusing", "REFUSING": "1"}
    log = tmp_path / "log"
    with a_process(DRAMATIQ, env, log):
        until(lambda: log.read_text().count("A task event could not be published") == 2, "no warnings")
        until(lambda: not Redis.from_url(redis_url).exists("refusing:default.msgs"), "the message is not acknowledged")
    assert "Failed to process message" not in log.read_text()
