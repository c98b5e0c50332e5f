"""Jobs of real RQ workers become task events."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue, Repeat, Retry
from rq.command import send_stop_job_command
from rq.registry import StartedJobRegistry

from streamnotify import sdk
from streamnotify.adapters.rq import NotifyingQueue
from tests.adapters import rq_jobs
from tests.adapters.published import DEADLINE_S, Published, a_process, told, until

WORKERS = ["NotifyingWorker", "NotifyingSimpleWorker", "NotifyingSpawnWorker"]
META = {"organization_id": 7, "user_id": "u-1", "notify": {"template": "nightly", "email": "ann@example.com"}}
WHOM = {
    "organization_id": "7",
    "user_id": "u-1",
    "notify": {"template": "nightly", "email": "ann@example.com"},
}


def argv(redis_url: str, queue: str, worker: str) -> list[str]:
    """The command line of a worker."""
    rq = str(Path(sys.executable).with_name("rq"))
    return [rq, "worker", "--url", redis_url, "-w", worker, queue]


@pytest.fixture(scope="module")
def redis(redis_url: str) -> Iterator[Redis]:
    """A client."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="module")
def queue_of(
    redis: Redis, redis_url: str, published: Published, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Queue]]:
    """The queue of a running worker, by the name of its class."""
    logs = tmp_path_factory.mktemp("rq")
    with ExitStack() as running:
        for name in WORKERS:
            command = argv(redis_url, name, f"streamnotify.adapters.rq.{name}")
            running.enter_context(a_process(command, published.env, logs / f"{name}.log"))
        yield partial(Queue, connection=redis)


@pytest.fixture(params=WORKERS)
def queue(request: pytest.FixtureRequest, queue_of: Callable[[str], Queue]) -> Queue:
    """The queue of each kind of worker."""
    return queue_of(request.param)


@pytest.fixture
def forking(queue_of: Callable[[str], Queue]) -> Queue:
    """The queue of the worker that forks."""
    return queue_of("NotifyingWorker")


def stories(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the events tell, without whom."""
    return [{name: value for name, value in told(event).items() if name not in WHOM} for event in events]


def test_a_job_that_succeeds_is_told_from_start_to_end(queue: Queue, published: Published) -> None:
    """With its progress, its times, its tenant, and what of its result a mail may use."""
    job = queue.enqueue(rq_jobs.succeed, 0.2, meta=META)
    running, progress, completed = published.to_the_end(job.id)
    assert told(running) == {"task_name": "tests.adapters.rq_jobs.succeed", "status": "Running", "attempt": 1, **WHOM}
    assert progress["progress"] == {"percent": 50.0, "text": "half of it"}
    assert told(completed) == {**told(running), "status": "Completed", "result": {"total_tests": 10}}
    assert completed["submitted_at"] <= running["started_at"] == completed["started_at"] < completed["finished_at"]
    assert 0.2 <= completed["duration_s"] < 30


def test_a_job_that_nobody_is_told_about_keeps_its_result_to_itself(queue: Queue, published: Published) -> None:
    """It is silent, but monitors see it."""
    *_, completed = published.to_the_end(queue.enqueue(rq_jobs.succeed).id)
    assert completed["status"] == "Completed"
    assert not {"notify", "result", "user_id"} & completed.keys()


def test_a_failure_is_final_if_there_is_no_retry(queue: Queue, published: Published) -> None:
    """With the exception's class and message."""
    *_, stopped = published.to_the_end(queue.enqueue(rq_jobs.fail).id)
    assert stories([stopped]) == [
        {
            "task_name": "tests.adapters.rq_jobs.fail",
            "status": "Stopped",
            "attempt": 1,
            "error": {"type": "ValueError", "message": "no such ingestor", "cause": "exception"},
        }
    ]


def test_a_failure_with_retries_left_is_not_final(queue: Queue, published: Published, tmp_path: Path) -> None:
    """Nobody is told that it failed if the retry succeeds."""
    job = queue.enqueue(rq_jobs.fail_at_first, str(tmp_path / "seen"), retry=Retry(max=2))
    events = published.to_the_end(job.id)
    assert [(event["status"], event["attempt"], event.get("final")) for event in events] == [
        ("Running", 1, None),
        ("Stopped", 1, False),
        ("Running", 2, None),
        ("Completed", 2, None),
    ]
    assert {event["max_attempts"] for event in events} == {3}
    first, failed, second, completed = events
    assert first["started_at"] == failed["started_at"] < second["started_at"] == completed["started_at"]


def test_the_last_retry_is_final(queue: Queue, published: Published) -> None:
    """And it says which attempt it was."""
    *_, stopped = published.to_the_end(queue.enqueue(rq_jobs.fail, retry=Retry(max=1)).id)
    assert (stopped["status"], stopped["attempt"], stopped["max_attempts"]) == ("Stopped", 2, 2)


def test_a_job_that_asks_for_a_retry_itself_has_not_ended(forking: Queue, published: Published) -> None:
    """Until it has asked too often."""
    events = published.to_the_end(forking.enqueue(rq_jobs.ask_for_a_retry, 1).id)
    assert [(event["status"], event["attempt"], event.get("final")) for event in events] == [
        ("Running", 1, None),
        ("Stopped", 1, False),
        ("Running", 2, None),
        ("Stopped", 2, None),
    ]
    assert events[-1]["error"]["message"] == "It asks for a retry."


def test_a_time_limit_says_so(forking: Queue, published: Published, tmp_path: Path) -> None:
    """It is the cause."""
    job = forking.enqueue(rq_jobs.run_on, str(tmp_path / "started"), job_timeout=1)
    *_, stopped = published.to_the_end(job.id)
    assert (stopped["status"], stopped["error"]["cause"]) == ("Stopped", "time_limit")


@pytest.mark.parametrize("worker", ["NotifyingWorker", "NotifyingSpawnWorker"])
def test_a_killed_work_horse_is_told_by_its_worker(
    worker: str, queue_of: Callable[[str], Queue], published: Published
) -> None:
    """Also which attempt it was, whose it was and how long it took, though the process that knew is gone."""
    job = queue_of(worker).enqueue(rq_jobs.kill_itself, meta=META, retry=Retry(max=1))
    events = published.to_the_end(job.id)
    ends = [event for event in events if event["status"] == "Stopped"]
    assert [(end["attempt"], end.get("final")) for end in ends] == [(1, False), (2, None)]
    assert ends[-1]["error"]["cause"] == "worker_lost"
    assert "signal 9" in ends[-1]["error"]["message"]
    assert {name: ends[-1][name] for name in WHOM} == WHOM
    assert ends[-1]["duration_s"] > 0
    assert ends[0]["started_at"] < ends[0]["finished_at"] <= ends[1]["started_at"] < ends[1]["finished_at"]


def test_a_job_that_somebody_stops_is_cancelled(
    forking: Queue, redis: Redis, published: Published, tmp_path: Path
) -> None:
    """That is no failure."""
    job = forking.enqueue(rq_jobs.run_on, str(tmp_path / "started"), retry=Retry(max=2))
    published.of(job.id, until=bool)
    until((tmp_path / "started").exists, "the job does not start")
    send_stop_job_command(redis, job.id)
    events = published.to_the_end(job.id)
    assert [event["status"] for event in events] == ["Running", "Cancelled"]


def test_the_job_of_a_lost_worker_is_told_by_the_next(
    redis: Redis, redis_url: str, published: Published, tmp_path: Path
) -> None:
    """When that one tidies up: kill -9 of worker and work horse, as when a machine is gone."""
    queue = Queue(f"lost-{uuid.uuid4().hex}", connection=redis)
    job = queue.enqueue(rq_jobs.run_on, str(tmp_path / "started"), meta=META)
    command = argv(redis_url, queue.name, "streamnotify.adapters.rq.NotifyingSimpleWorker")
    with a_process(command, published.env, tmp_path / "first.log") as first:
        until((tmp_path / "started").exists, "the job does not start")
        first.kill()
        first.wait()
    registry = StartedJobRegistry(queue.name, connection=redis)
    executions: Any = redis.zrange(registry.key, 0, -1)
    redis.zadd(registry.key, dict.fromkeys(executions, time.time() - 1))  # its heartbeat is too old
    with a_process(command, published.env, tmp_path / "second.log"):
        *_, stopped = published.to_the_end(job.id)
    assert stories([stopped])[0]["error"] == {"message": "The worker is gone.", "cause": "worker_lost"}
    assert {name: stopped[name] for name in WHOM} == WHOM
    assert stopped["started_at"] < stopped["finished_at"]


def test_each_repetition_of_a_job_is_a_run_of_its_own(forking: Queue, published: Published) -> None:
    """Or only the first would be mailed."""
    job = forking.enqueue(rq_jobs.succeed, repeat=Repeat(times=1))
    for run in (f"{job.id}:1", f"{job.id}:0"):
        *_, completed = published.to_the_end(run)
        assert (completed["status"], completed["attempt"]) == ("Completed", 1)


def test_the_queue_tells_what_is_pending(
    forking: Queue, published: Published, publisher: sdk.Publisher, tmp_path: Path
) -> None:
    """At the first time only: a retry is the same run."""
    queue = NotifyingQueue(forking.name, connection=forking.connection)
    job = queue.enqueue(rq_jobs.fail_at_first, str(tmp_path / "seen"), retry=Retry(max=1), meta=META)
    publisher.flush()
    events = published.to_the_end(job.id, with_pending=True)
    assert [event["status"] for event in events] == ["Pending", "Running", "Stopped", "Running", "Completed"]
    assert told(events[0]) == {
        "task_name": "tests.adapters.rq_jobs.fail_at_first",
        "status": "Pending",
        "attempt": 1,
        "max_attempts": 2,
        **WHOM,
    }


def test_a_publisher_that_raises_breaks_no_job(
    redis: Redis, redis_url: str, published: Published, tmp_path: Path
) -> None:
    """The log has a warning for each event."""
    queue = Queue(f"refused-{uuid.uuid4().hex}", connection=redis)
    jobs = [queue.enqueue(rq_jobs.fail_at_first, str(tmp_path), meta=META), queue.enqueue(rq_jobs.fail)]
    command = [*argv(redis_url, queue.name, "tests.adapters.rq_jobs.RefusedWorker"), "--burst"]
    with a_process(command, published.env, tmp_path / "log") as worker:
        assert worker.wait(DEADLINE_S) == 0
    assert [job.get_status() for job in jobs] == ["finished", "failed"]
    log = (tmp_path / "log").read_text()
    assert log.count("A task event could not be published") == 4
