"""A worker is told to stop at once (SIGQUIT) in the middle of tasks, and started again (research/celery-sdk.md C6)."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterable

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.celery.cases import ENDS, RELEASES, Worker
from tests.celery.celery_workers import Event, celery_processes, events_of, read_all, read_until

WORKERS = [Worker(release, "prefork") for release in RELEASES]
LOST, REDELIVERED = "stopped_cold", "stopped_cold_unacknowledged"
FAILS_AT_ONCE = "5.4"  # it stores such a task's failure and acknowledges it, so that is its end


@pytest.fixture(scope="module")
def events(kafka: EmbeddedKafka, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[Worker, list[Event]]:
    """What each worker published until its stop and after it."""
    workers = [worker for worker in WORKERS if worker.is_installed]
    servers, name = kafka.bootstrap_servers, f"cold{uuid.uuid4().hex[:10]}"
    with celery_processes(workers, redis_url, servers, name, tmp_path_factory.mktemp("cold")) as made:
        for processes in made.values():
            processes.start_worker()
            processes.start_driver(LOST, REDELIVERED)
        topics = [processes.topic for processes in made.values()]
        read_until(servers, topics, lambda found: all(len(begun(of_topic)) == 2 for of_topic in found.values()))
        for processes in made.values():
            processes.end_worker(signal.SIGQUIT)
            processes.start_worker()
        read_until(servers, topics, lambda found: all(ends(REDELIVERED, of_topic) for of_topic in found.values()))
        for processes in made.values():
            processes.stop()
        return {worker: read_all(servers, processes.topic) for worker, processes in made.items()}


def begun(events: Iterable[Event]) -> set[str]:
    return {event["task_id"] for event in events if event["status"] == "Running"}


def ends(task_id: str, events: Iterable[Event]) -> list[Event]:
    return [event for event in events_of(task_id, events) if event["status"] in ENDS]


def of(worker: Worker, events: dict[Worker, list[Event]]) -> list[Event]:
    if worker not in events:
        pytest.skip(f"Celery {worker.release} is not here: `make .celery-{worker.release}/.done`")
    return events[worker]


@pytest.mark.parametrize("worker", WORKERS, ids=str)
@pytest.mark.parametrize(("task_id", "redelivery_s"), [(LOST, 60.0), (REDELIVERED, 3600.0)])
def test_a_run_that_is_cut_off_is_said_to_be_interrupted(
    worker: Worker, task_id: str, redelivery_s: float, events: dict[Worker, list[Event]]
) -> None:
    [interrupted] = [event for event in events_of(task_id, of(worker, events)) if event.get("interrupted")]
    assert (interrupted["status"], interrupted["redelivery_s"]) == ("Running", redelivery_s)


@pytest.mark.parametrize("worker", WORKERS, ids=str)
def test_a_run_that_never_comes_again_has_no_end_unless_celery_says_so(
    worker: Worker, events: dict[Worker, list[Event]]
) -> None:
    """The product ends it after ``redelivery_s``."""
    causes = [end["error"]["cause"] for end in ends(LOST, of(worker, events))]
    assert causes == (["worker_lost"] if worker.release == FAILS_AT_ONCE else [])


@pytest.mark.parametrize("worker", WORKERS, ids=str)
def test_a_run_that_the_broker_delivers_again_ends_as_that_delivery_does(
    worker: Worker, events: dict[Worker, list[Event]]
) -> None:
    [end] = ends(REDELIVERED, of(worker, events))
    if worker.release == FAILS_AT_ONCE:
        assert end["error"]["cause"] == "worker_lost"
    else:
        assert (end["status"], end["attempt"], end.get("redelivered")) == ("Completed", 1, True)
