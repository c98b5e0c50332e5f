"""Must hold 1: what real workers publish about every way a run can go (research/celery-sdk.md, section 1).

All cases run on all workers at once; each test then looks at what was recorded. Where releases of Celery differ, what
is published does not: one expected file per case.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from streamnotify import __version__
from streamnotify.devtools.kafka import EmbeddedKafka
from tests.celery.cases import CASES, ENDS, RECYCLED, ROOT, WORKERS, Case, Worker
from tests.celery.celery_workers import Event
from tests.celery.recording import Recording, comparable, record

GOLDEN = Path(__file__).parent / "golden"
PAIRS = [(worker, case) for worker in WORKERS for case in CASES if case.runs_on(worker)]
PREFORK = [worker for worker in WORKERS if worker.pool == "prefork" and worker.tasks_per_child is None]


@pytest.fixture(scope="module")
def recordings(
    kafka: EmbeddedKafka, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[Worker, Recording]:
    """What all workers whose release is here published."""
    workers = [worker for worker in WORKERS if worker.is_installed]
    directory = tmp_path_factory.mktemp("celery")
    return record(workers, redis_url, kafka.bootstrap_servers, f"matrix{uuid.uuid4().hex[:10]}", directory)


def recording_of(worker: Worker, recordings: dict[Worker, Recording]) -> Recording:
    if worker not in recordings:
        pytest.skip(f"Celery {worker.release} is not here: `make .celery-{worker.release}/.done`")
    return recordings[worker]


def ends(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event["status"] in ENDS]


@pytest.mark.parametrize(("worker", "case"), PAIRS, ids=lambda part: part.name if isinstance(part, Case) else str(part))
def test_a_run_is_told_as_expected(
    worker: Worker, case: Case, recordings: dict[Worker, Recording], request: pytest.FixtureRequest
) -> None:
    recording = recording_of(worker, recordings)
    assert case.name not in recording.unfinished, recording.last_words
    told = [event for event in recording.of(case.name) if not (case.hurried and event.get("interrupted"))]
    expected = GOLDEN / f"{case.name}.json"
    if request.config.getoption("--golden"):
        expected.write_text(comparable(told))
    assert comparable(told) == expected.read_text(), f"{expected.name} has changed: --golden, then review the diff"


@pytest.mark.parametrize("worker", WORKERS, ids=str)
def test_every_event_fits_the_public_schema_and_is_about_a_known_case(
    worker: Worker, recordings: dict[Worker, Recording]
) -> None:
    schema: dict[str, Any] = json.loads((ROOT / "schemas" / "task-events.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    recording = recording_of(worker, recordings)
    wrong = [(error.message, event) for event in recording.events for error in validator.iter_errors(event)]
    assert wrong == []
    assert {event["task_id"].partition(".")[0] for event in recording.events} <= {case.name for case in CASES}
    assert {event["producer"]["version"] for event in recording.events} == {__version__}


@pytest.mark.parametrize("worker", PREFORK, ids=str)
def test_what_celery_reports_twice_has_one_id(worker: Worker, recordings: dict[Worker, Recording]) -> None:
    recording = recording_of(worker, recordings)
    twice = {"hard_limit", "exits", "rejects"} if worker.release == "5.7" else set()
    for name in ("hard_limit", "exits", "rejects", "killed"):
        reports = ends(recording.of(name))
        assert len(reports) == (2 if name in twice else 1), name
        assert len({event["event_id"] for event in reports}) == 1, name


@pytest.mark.parametrize("worker", WORKERS, ids=str)
def test_the_times_of_a_run_are_in_order(worker: Worker, recordings: dict[Worker, Recording]) -> None:
    for event in ends(recording_of(worker, recordings).events):
        names = ("submitted_at", "queued_at", "started_at", "finished_at")
        times = [datetime.fromisoformat(event[name]) for name in names if name in event]
        assert times == sorted(times), event


@pytest.mark.parametrize("worker", [worker for worker in WORKERS if worker.tasks_per_child is None], ids=str)
def test_a_task_for_later_is_queued_at_once_and_starts_in_time(
    worker: Worker, recordings: dict[Worker, Recording]
) -> None:
    [end] = ends(recording_of(worker, recordings).of("eta"))
    submitted, queued, started = (
        datetime.fromisoformat(end[name]) for name in ("submitted_at", "queued_at", "started_at")
    )
    assert queued < started
    assert started - submitted >= timedelta(seconds=0.99)


@pytest.mark.parametrize("worker", PREFORK, ids=str)
def test_every_event_says_which_process_it_is_from(worker: Worker, recordings: dict[Worker, Recording]) -> None:
    recording = recording_of(worker, recordings)
    roles = {event["status"]: event["producer"].get("role") for event in recording.of("success")}
    assert roles == {"Pending": "publisher", "Queued": "main", "Running": "child", "Completed": "child"}
    [lost] = ends(recording.of("killed"))
    assert lost["producer"]["role"] == "main"


def test_a_child_that_is_replaced_after_each_task_loses_no_event(recordings: dict[Worker, Recording]) -> None:
    [recycling] = [worker for worker in WORKERS if worker.tasks_per_child is not None]
    finals = ends(recording_of(recycling, recordings).events)
    assert len(finals) == RECYCLED
    assert len({event["producer"]["pid"] for event in finals}) == RECYCLED


@pytest.mark.parametrize("worker", WORKERS, ids=str)
def test_no_process_has_lost_an_event_but_those_that_were_killed(
    worker: Worker, recordings: dict[Worker, Recording]
) -> None:
    """Each process counts its events; a gap reveals a loss."""
    numbers: dict[int, list[int]] = {}
    for event in recording_of(worker, recordings).events:
        numbers.setdefault(event["producer"]["pid"], []).append(event["producer"]["seq"])
    assert {pid: sorted(seen) for pid, seen in numbers.items()} == {
        pid: list(range(min(seen), max(seen) + 1)) for pid, seen in numbers.items()
    }
